"""Datagrams of the dispatch protocol, caught on the wire and sent again: as they were, damaged, and cut short."""
import random
import re
import socket
import struct
import threading
import time

from cloud import Cloud, wait_until
from load import OpenLoop
from netns import PROXY

DISPATCHER_PORT = 7070
TYPES = {1: "ECHO", 2: "ECHO_OK", 3: "ACQUIRE", 4: "GRANT", 5: "WAIT", 9: "RENEW", 10: "RELEASE", 11: "REVOKE"}
HEADER = 25  # magic, sender, boot, sequence; the type of the message comes next
MAC = 16
AT_ONCE = 50  # then a pause: a flood that drowns the true datagrams would be another test


class Wire:
    """All datagrams of the protocol that pass the proxy's port of the bridge, by type: (source, destination, payload)."""

    def __init__(self, network):
        self.socket = network.bridge.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind(("proxy0", 0))
        self.socket.settimeout(0.2)
        self.caught = {}
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.listen)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_exception):
        self.stopped.set()
        self.thread.join()
        self.socket.close()

    def listen(self):
        while not self.stopped.is_set():
            try:
                self.take(self.socket.recv(2048)[14:])
            except TimeoutError:
                pass

    def take(self, packet):
        if len(packet) < 28 or packet[0] != 0x45 or packet[9] != socket.IPPROTO_UDP:
            return
        source, destination, length = struct.unpack("!HHH", packet[20:26])
        payload = packet[28:20 + length]
        if DISPATCHER_PORT not in (source, destination) or len(payload) <= HEADER + MAC:
            return
        name = TYPES.get(payload[HEADER])
        if name:
            self.caught.setdefault(name, []).append(((socket.inet_ntoa(packet[12:16]), source),
                                                     (socket.inet_ntoa(packet[16:20]), destination), payload))

    def last(self, each):
        """The newest of each type."""
        return [datagram for name in sorted(self.caught) for datagram in self.caught[name][-each:]]


class Forger:
    """Sends from a host's namespace: under any source address, or under its own."""

    def __init__(self, namespace):
        self.raw = namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.own = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.own.setblocking(False)
        self.sent = 0

    def send(self, source, destination, payload):
        for as_sender in (True, False):
            if as_sender:
                udp = struct.pack("!HHHH", source[1], destination[1], 8 + len(payload), 0)
                ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0,
                                 socket.inet_aton(source[0]), socket.inet_aton(destination[0]))
                self.raw.sendto(ip + udp + payload, (destination[0], 0))
            else:
                self.own.sendto(payload, destination)
            self.sent += 1
            if self.sent % AT_ONCE == 0:
                time.sleep(0.005)

    def answers(self):
        got = []
        try:
            while True:
                got.append(self.own.recv(2048))
        except BlockingIOError:
            return got


def damaged(payload, count, dice):
    """Copies with one bit flipped each."""
    for _ in range(count):
        copy = bytearray(payload)
        copy[dice.randrange(len(copy))] ^= 1 << dice.randrange(8)
        yield bytes(copy)


def cut(payload):
    for length in (0, 1, HEADER - 1, HEADER, HEADER + 1, HEADER + MAC, len(payload) - MAC, len(payload) - 1):
        yield payload[:length]


def memory(process):
    with open(f"/proc/{process.pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1))


def get(cloud, path="/"):
    response = cloud.request("one.test", path)
    assert response.status == 200, (response.status, response.body)
    return response.body


def lease_ended_and_taken_again(cloud, wire):
    """Has every message of a life on the wire, REVOKE and RELEASE too, and then a lease on the same run as they name."""
    cloud.site("one")
    get(cloud)
    home, _ = cloud.placement("one")
    away = next(host for host in cloud.network.hosts if host != home)
    slow = threading.Thread(target=get, args=(cloud, "/slow.php?seconds=3&id=slow"))
    slow.start()  # while it lasts its container is not stopped, and is used again
    wait_until(lambda: cloud.executions("slow"), "the application has begun")
    wait_until(lambda: {"RENEW", "ECHO", "ECHO_OK"} <= wire.caught.keys(), "it is renewed and looked after")
    for host in (away, home):
        cloud.fcctl("place", "one", host)
        wait_until(lambda: get(cloud, "/slow.php").decode().strip() == cloud.network.address(host), f"it is on {host}")
    slow.join()
    wait_until(lambda: cloud.container_count() == 1, "the other copy has stopped", 30)
    missing = set(TYPES.values()) - wire.caught.keys()
    assert not missing, missing
    assert len(cloud.starts("one")) == 2, "the first run goes on"
    get(cloud)
    return home


def refused(cloud, cause):
    return cloud.metrics()[f'fastcontainer_datagrams_refused_total{{cause="{cause}"}}']


def attack(cloud, wire, home):
    """Everything that was caught, to whom it was sent and to another host."""
    dice = random.Random(1)
    other = cloud.network.address("h2" if home != "h2" else "h1")
    forger = Forger(cloud.network.hosts["h3" if home != "h3" else "h1"])
    caught = wire.last(each=20)
    for turn in range(40):
        for source, destination, payload in caught:
            forger.send(source, destination, payload)
            if turn % 4 != 0:
                continue
            for copy in (*damaged(payload, 3, dice), *cut(payload)):
                forger.send(source, destination, copy)
                if turn == 0 and destination[0] != PROXY:
                    forger.send(source, (other, DISPATCHER_PORT), copy)
    return forger


def test_forged_and_replayed_datagrams_change_nothing():
    with Cloud() as cloud, Wire(cloud.network) as wire:
        home = lease_ended_and_taken_again(cloud, wire)
        programs = [cloud.proxy, *cloud.dispatchers.values()]
        load = OpenLoop(cloud, "one", rate=200, seconds=20)
        wait_until(lambda: cloud.metric("fc_proxy_requests_total") >= 100, "the load runs")
        # Only what has arrived can be replayed: the present lease is older than all that is sent again.
        placed, starts, sizes = cloud.placement("one"), cloud.starts("one"), [memory(p) for p in programs]
        relocations = cloud.metric("fastcontainer_relocations_total")
        acquired = cloud.metrics()['fastcontainer_tickets_total{reason="acquired"}']
        revoked = cloud.read("proxy.err").count("revoked by")
        forger = attack(cloud, wire, home)
        assert load.running(), "the load ended before the attack did"
        load.check()
        assert forger.sent >= 5000, forger.sent
        assert not forger.answers(), "what is refused gets silence"
        for cause in ("replayed", "bad_mac", "malformed"):
            assert refused(cloud, cause) >= 1000, (cause, refused(cloud, cause))
        assert cloud.placement("one") == placed
        assert cloud.metric("fastcontainer_relocations_total") == relocations
        assert cloud.starts("one") == starts, cloud.starts("one")
        assert cloud.metrics()['fastcontainer_tickets_total{reason="acquired"}'] == acquired, "the lease has ended"
        assert cloud.read("proxy.err").count("revoked by") == revoked
        growth = [memory(p) - size for p, size in zip(programs, sizes)]
        assert max(growth) < 16 * 1024, growth
