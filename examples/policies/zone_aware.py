"""Replicas in different zones, and in each zone the host with most free memory.

A container's replicas go to the zones in turn, from one on that its name decides, so that no zone's loss takes all of them.
Where nothing fits in the zone whose turn it is, the next one takes it. The zone is the label "zone" of the host record.
"""
import numpy as np
from fastcontainer.policy import policy

PIB = 2.0 ** 50


@policy
def zone_aware(request, hosts):
    zones = hosts.zones
    names = sorted(set(zones))
    turn = (request.container_hash + request.replica) % len(names)
    distance = {name: (i - turn) % len(names) for i, name in enumerate(names)}
    away = np.fromiter((distance[zone] for zone in zones), float, len(zones))
    roomy = np.minimum(hosts.free_memory / PIB, 0.999)  # less than a zone's difference, also if never reported
    return np.where(hosts.fits(request), roomy - away, -np.inf)
