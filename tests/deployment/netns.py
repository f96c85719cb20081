"""Network namespaces around one bridge, and ways to cut one off. Nothing is made in the machine's own namespace."""
import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import time

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
PROXY = "10.77.0.1"


def run(*command, check=True, **options):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip() or result.returncode}")
    return result


class Namespace:
    """`ip netns exec` mounts a fresh /sys, which hides the cgroups; nsenter does not."""

    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)
        self.inode = os.stat(f"/run/netns/{name}").st_ino
        self.run("ip", "link", "set", "lo", "up")
        self.sysctl("net.ipv4.ping_group_range", "0 0")
        # A hundred thousand short connections must not run out of ports.
        self.sysctl("net.ipv4.ip_local_port_range", "10000 65000")
        self.sysctl("net.ipv4.tcp_tw_reuse", "1")

    def enter(self):
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def run(self, *command, **options):
        return run(*self.enter(), *command, **options)

    def sysctl(self, key, value):
        self.run("sysctl", "-qw", f"{key}={value}")

    def nft(self, rules):
        self.run("nft", "-f", "-", input=rules)

    @contextlib.contextmanager
    def inside(self):
        """A socket belongs to the namespace that its thread was in when it was made."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(there, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                if _libc.setns(home, _CLONE_NEWNET) != 0:
                    os._exit(70)  # nothing that follows would be where it thinks it is
        finally:
            os.close(home)
            os.close(there)

    def connect(self, address, port, timeout=30):
        """A TCP connection from inside."""
        with self.inside():
            return socket.create_connection((address, port), timeout=timeout)

    def socket(self, *kind):
        with self.inside():
            return socket.socket(*kind)

    def pids(self):
        """All processes inside."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                if os.stat(f"/proc/{entry}/ns/net").st_ino == self.inode:
                    found.append(int(entry))
            except OSError:
                pass  # it has ended meanwhile
        return found

    def delete(self):
        """Ends what runs inside, then the namespace."""
        for _ in range(100):
            pids = self.pids()
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not pids:
                break
            time.sleep(0.02)
        run("ip", "netns", "del", self.name, check=False)


class Network:
    """A bridge in a namespace of its own, and on it proxies (10.77.0.1, ...) and `count` hosts (10.77.0.11, ...)."""

    def __init__(self, count, proxies=1):
        prefix = f"fct{os.getpid()}-"
        self.namespaces = []
        try:
            self._build(count, proxies, prefix)
        except BaseException:
            self.delete()
            raise

    def _build(self, count, proxies, prefix):
        self.bridge = self._add(prefix + "bridge")
        self.bridge.run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self.bridge.run("ip", "link", "set", "br0", "up")
        self.proxies = [self._attach(f"{prefix}proxy{i}", f"proxy{i}", self.proxy_address(i)) for i in range(proxies)]
        self.proxy = self.proxies[0]  # that load and requests go through
        self.hosts = {}
        for i in range(1, count + 1):
            self.hosts[f"h{i}"] = self._attach(f"{prefix}h{i}", f"h{i}", self.address(f"h{i}"))

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.delete()

    @staticmethod
    def proxy_address(i):
        return f"{PROXY.rsplit('.', 1)[0]}.{1 + i}"

    @staticmethod
    def address(host):
        return f"10.77.0.{10 + int(host[1:])}"

    def _add(self, name):
        namespace = Namespace(name)
        self.namespaces.append(namespace)
        return namespace

    def add_server(self, name, address):
        """A machine that is neither proxy nor host."""
        return self._attach(f"fct{os.getpid()}-{name}", name, address)

    def _attach(self, name, port, address):
        namespace = self._add(name)
        self.bridge.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        self.bridge.run("ip", "link", "set", port, "master", "br0", "up")
        namespace.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        namespace.run("ip", "link", "set", "eth0", "up")
        return namespace

    def delete(self):
        for namespace in self.namespaces:
            namespace.delete()

    # Ways to cut a host off. None of them touches the proxy's own namespace.
    def drop(self, host, directions=("input", "output")):
        chains = "".join(
            f"chain {d} {{ type filter hook {d} priority -300; policy drop; "
            f"{'iif' if d == 'input' else 'oif'} lo accept\n}}\n" for d in directions)
        self.hosts[host].nft(f"table inet cut {{\n{chains}}}\n")

    def cut_from_proxy(self, host, i, direction="input"):
        """Of the packets between `host` and proxy i, those of one direction are lost; everybody else reaches both."""
        address = "saddr" if direction == "input" else "daddr"
        self.hosts[host].nft(f"table inet cut {{ chain {direction} {{ type filter hook {direction} priority -300; "
                             f"ip {address} {self.proxy_address(i)} drop\n}}\n}}\n")

    def reject(self, host):
        self.hosts[host].nft("table inet cut { chain input { type filter hook input priority -300; "
                             "iif lo accept; reject\n}\n}\n")

    def link_down(self, host):
        self.bridge.run("ip", "link", "set", host, "down")

    def link_up(self, host):
        self.bridge.run("ip", "link", "set", host, "up")

    def bridge_drop(self, host):
        self.bridge.run("bridge", "link", "set", "dev", host, "state", "disabled")

    def drop_probes(self, host, on):
        """Loses what asks whether the host lives (ICMP echo, the dispatch protocol); its containers go on answering."""
        if on:
            self.hosts[host].nft("table inet deaf { chain input { type filter hook input priority -300; "
                                 "meta l4proto { icmp, udp } drop\n}\n}\n")
        else:
            self.hosts[host].nft("delete table inet deaf\n")

    def heal(self, host):
        self.hosts[host].run("nft", "flush", "ruleset")
        self.bridge.run("ip", "link", "set", host, "up")
        self.bridge.run("bridge", "link", "set", "dev", host, "state", "forwarding")

    def count_echoes(self, host):
        """Counts echo requests as they come in at `host`; the reading is echoes()."""
        self.hosts[host].nft("table inet count {\ncounter echoes {}\nchain input { type filter hook input "
                             "priority -310; icmp type echo-request counter name echoes\n}\n}\n")

    def echoes(self, host):
        listing = self.hosts[host].run("nft", "list", "counter", "inet", "count", "echoes").stdout
        return int(re.search(r"packets (\d+)", listing).group(1))


def delete_stale():
    """Removes what a killed run left: namespaces named after a process that is no more."""
    listing = run("ip", "netns", "list", check=False).stdout
    for name in re.findall(r"^(fct(\d+)-\S+)", listing, re.M):
        if not os.path.exists(f"/proc/{name[1]}"):
            namespace = Namespace.__new__(Namespace)
            namespace.name = name[0]
            namespace.inode = os.stat(f"/run/netns/{name[0]}").st_ino
            namespace.delete()
