"""The cheapest host that has room, and of those that cost the same the fullest, so that the others can be let go.

Prices are an object {"host": price per hour} in the JSON file that POLICY_PRICES names; a host without one is used last.
"""
import json
import os

import numpy as np
from fastcontainer import HostFlag
from fastcontainer.policy import policy


@policy
class CheapestFirst:
    def __init__(self, prices=None):
        if prices is None:
            with open(os.environ["POLICY_PRICES"], encoding="utf-8") as file:
                prices = json.load(file)
        self.prices = prices
        self.ids, self.price = None, None

    def place(self, request, hosts):
        if self.ids is None or not np.array_equal(self.ids, hosts.id_hash):
            self.ids = hosts.id_hash.copy()  # columns end with the call
            self.price = np.array([self.prices.get(host, np.inf) for host in hosts.ids])
        usable = np.flatnonzero(hosts.fits(request) & (hosts.flags & HostFlag.OVERLOADED == 0))
        if len(usable) == 0:
            return None  # the built-in policy knows what is to be done then
        return usable[np.lexsort((hosts.free_memory[usable], self.price[usable]))]
