"""The ground of one cell: a bridge, namespaces for the clients, the proxy and two hosts, and what runs as the container."""
import glob
import http.client
import os
import shutil
import subprocess

import loads
from cloud import BIN, Cloud, wait_until
from wordpress_site import WordPress

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = "10.77.0.30"
SERVER_PORT = 8000  # of a standing back end


class Stage(Cloud):
    def __init__(self, load):
        super().__init__(hosts=2, start=False, proxy={"listen": "0.0.0.0:8080"})
        self.load = load
        self.key = "site.test"

    def __enter__(self):
        super().__enter__()
        try:
            self.clients = self.network.add_server("clients", CLIENTS)
            shutil.copytree(os.path.join(HERE, "site"), self.path("site"), dirs_exist_ok=True)
            open(self.path("run", "posts"), "w").close()
            os.chmod(self.path("run", "posts"), 0o666)
            if self.load.expect == "large":
                with open(self.path("site", "large"), "wb") as file:
                    for _ in range(loads.LARGE_BYTES >> 20):
                        file.write(os.urandom(1 << 20))
            if self.load.site == "wordpress":
                self.wordpress = WordPress(self, self.key)
                self.wordpress.start()
        except BaseException:
            self.__exit__(True, None, None)
            raise
        return self

    # ---- what runs as the container ------------------------------------------------------------------

    def spec(self):
        """The record of it; standing back ends run the same command in the same environment."""
        if self.load.site == "websocket":
            return {"command": ["/bin/sh", "-c", 'exec websocketd --loglevel=error --address="$ADDRESS" --port="$PORT" cat'],
                    "environment": {"PATH": "/usr/local/bin:/usr/bin:/bin"}, "ready": {"tcp": True}}
        spec = self.apache_class()
        if self.load.site == "wordpress":
            # It is ready when it has made a page; on a host that has never served it, that is most of its start.
            environment = self.php(self.wordpress.environment())
            return {**spec, "environment": environment, "ready": {"http": "/", "timeout_s": 60}}
        if self.load.site == "php":
            spec["environment"] = self.php(spec["environment"])
        else:
            spec["environment"]["CONF"] = self.path("site", f"{self.load.site}.conf")
        return {**spec, "concurrency": self.load.concurrency}

    def php(self, environment):
        """PHP keeps its programs compiled in a folder that all hosts see: a fresh copy reads them there."""
        self.write(os.path.join(self.scratch("php.d"), "opcache.ini"), f"opcache.file_cache={self.scratch('opcache')}\n")
        return {**environment, "APACHE_CONF": environment["CONF"], "CONF": self.path("site", "php.conf"),
                "PHP_INI_SCAN_DIR": f":{self.path('php.d')}"}

    def start_server(self, host):
        spec = self.spec()
        address = self.network.address(host)
        environment = {**spec["environment"], "CONTAINER": "site", "ADDRESS": address, "PORT": str(SERVER_PORT)}
        self.spawn(self.network.hosts[host], f"server-{host}", "env",
                   *(f"{name}={value}" for name, value in environment.items()), *spec["command"])
        wait_until(lambda: self.listens(self.network.hosts[host], SERVER_PORT), f"the server on {host} listens")

    def prepare(self, *servers):
        """Installs WordPress, and has each server ("address:port") make a page of each kind, as one that stands has."""
        if self.load.site != "wordpress":
            return
        for i, server in enumerate(servers):
            address, port = server.split(":")
            where = {"address": address, "port": int(port)}
            if i == 0:
                self.wordpress.install(**where)
            assert self.wordpress.request("/", **where).status == 200
            self.wordpress.call("wp.getPosts", **where)
        self.write("new-post.xml", self.wordpress.message("wp.newPost", {"post_title": "number {n}", "post_status": "publish"}))

    def servers(self):
        return [f"{self.network.address(host)}:{SERVER_PORT}" for host in self.network.hosts]

    @staticmethod
    def other(host):
        return "h2" if host == "h1" else "h1"

    # ---- the proxy -----------------------------------------------------------------------------------

    def scratch(self, name):
        """A folder in which a proxy may write."""
        os.makedirs(self.path(name), exist_ok=True)
        os.chmod(self.path(name), 0o777)
        return self.path(name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def spawn_proxy(self, *command):
        self.proxy = self.spawn(self.network.proxy, "proxy", *command)

    @staticmethod
    def listens(namespace, port):
        return bool(namespace.run("ss", "-Hltn", f"sport = :{port}").stdout)

    def get(self, path="/"):
        """One answer, as a client sees it: the status, or 0."""
        connection = http.client.HTTPConnection(self.url_address(), timeout=10)
        try:
            connection.sock = self.clients.connect("10.77.0.1", 8080, 10)
            connection.request("GET", path, headers={"Host": self.key})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    @staticmethod
    def url_address():
        return "10.77.0.1:8080"

    def wait_until_served(self):
        """Both back ends, where there are two: a round of answers in a row."""
        def answers():
            self.ended(self.proxy)
            # A WebSocket's server refuses what is none.
            return all(self.get() in ((200,) if self.load.site != "websocket" else (400, 403, 404)) for _ in range(4))

        wait_until(answers, "the proxy answers", 60)

    def start_load(self, seconds, ledger):
        expect = ("--expect", self.path("site", self.load.expect)) if self.load.expect else ()
        post = ("--post-file", self.path(self.load.post)) if self.load.post else ()
        command = [*self.clients.enter(), f"{BIN}/survive_load", *self.load.options, "--seconds", str(seconds), "--timeout",
                   str(loads.PATIENCE), "--host", self.key, *expect, *post, "--ledger", ledger,
                   f"http://{self.url_address()}{self.load.path}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.children.append(process)
        return process

    # ---- processes and numbers -----------------------------------------------------------------------

    def service_pids(self, host):
        """What serves on a host: all there but the dispatcher."""
        dispatcher = self.dispatchers.get(host)
        return [pid for pid in self.network.hosts[host].pids() if not dispatcher or pid != dispatcher.pid]

    def memory_mb(self):
        """Proportional set size of the proxy and of all on the hosts."""
        namespaces = (self.network.proxy, *self.network.hosts.values())
        return sum(pss_kb(pid) for namespace in namespaces for pid in namespace.pids()) / 1024

    def answer_logs(self):
        """Of each copy of PHP's server that has run, wherever: what its answers took."""
        return set(glob.glob(self.path("run", "took-*.log")))

    @staticmethod
    def first_answers_ms(logs):
        """The slowest of the first ones to others than who asks whether it is ready; 0: of files."""
        slowest = 0.0
        for log in logs:
            with open(log) as file:
                slowest = max([slowest, *(int(line) / 1e3 for line in file.readlines()[1:4])])
        return slowest

    def posts(self):
        """{which: how often it was served}."""
        served = {}
        lines = self.wordpress.titles() if self.load.site == "wordpress" else self.read("run", "posts").splitlines()
        for line in lines:
            number = line.split(" ")[0]
            served[number] = served.get(number, 0) + 1
        return served

    def logs(self):
        return sorted(glob.glob(self.path("*.err")) + glob.glob(self.path("*.out")))


def pss_kb(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0  # it has ended meanwhile
