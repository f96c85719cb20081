"""A small cloud: a proxy and hosts in network namespaces, Apache as the container, an SQLite database as the CMDB."""
import contextlib
import glob
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time

import netns

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("FASTCONTAINER_BIN", os.path.join(HERE, "../../build/release/bin"))
PROXY_PORT = 8080
ADMIN_PORT = 9901


def wait_until(condition, what, seconds=20):
    """Bounds a wait; how long it took is nobody's business here."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain: {what}")


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Cloud:
    """`with Cloud() as cloud:` has running dispatchers on all hosts, a running proxy, and class "apache" in the CMDB."""

    def __init__(self, hosts=3, proxy=None, dispatcher=None, start=True, proxies=1):
        self.proxy_options = proxy or {}
        self.dispatcher_options = dispatcher or {}
        self.host_count = hosts
        self.proxy_count = proxies
        self.start_all = start
        self.dispatchers = {}
        self.proxy = None
        self.children = []

    # ---- building and tearing down ------------------------------------------------------------------

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="fc-deployment-")
        os.chmod(self.folder, 0o755)
        self.run_folder = self.path("run")
        os.mkdir(self.run_folder)
        for name in ("starts", "executions", "access.log"):
            open(self.path("run", name), "w").close()
            os.chmod(self.path("run", name), 0o666)
        for source in ("../../examples/website", "site"):
            shutil.copytree(os.path.join(HERE, source), self.path("site"), dirs_exist_ok=True)
        with open(self.path("cluster.key"), "w", opener=lambda p, f: os.open(p, f, 0o600)) as key:
            key.write(secrets.token_hex(32) + "\n")
        self.network = None
        try:
            self.network = netns.Network(self.host_count, self.proxy_count)
            self.cmdb = self.start_store()
            self.apply({"classes": {"apache": self.apache_class()}})
            if self.start_all:
                for host in self.network.hosts:
                    self.start_dispatcher(host)
                self.start_proxy()
        except BaseException:
            self.__exit__(True, None, None)
            raise
        return self

    def __exit__(self, failed, _value, _traceback):
        if failed:
            self.print_logs()
        if self.network:
            self.network.delete()
        for child in self.children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=5)
        if not os.environ.get("FASTCONTAINER_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def print_logs(self):
        for name in sorted(glob.glob(self.path("*.log")) + glob.glob(self.path("*.err"))):
            with open(name, errors="replace") as log:
                lines = log.readlines()
            print(f"---- {os.path.basename(name)}: the last of {len(lines)} lines")
            print("".join(line[:600] + ("" if line.endswith("\n") else "\n") for line in lines[-25:]), end="")

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def apache_class(self):
        module = sorted(glob.glob("/usr/lib/apache2/modules/libphp*.so"))[-1]
        environment = {"RUN": self.run_folder, "SITE": self.path("site"), "PHP_MODULE": module,
                       "CONF": self.path("site", "apache.conf"), "START_DELAY": "",
                       "NESTED_USER": os.environ.get("FASTCONTAINER_NESTED", ""),
                       "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        return {"command": [self.path("site", "container.sh")], "environment": environment,
                "concurrency": 16, "ready": {"http": "/", "timeout_s": 30}, "stop": {"grace_s": 2}}

    def start_store(self):
        """The CMDB's URL."""
        return "sqlite:" + self.path("cmdb.db")

    def spawn(self, namespace, name, *command):
        """A child in a namespace, in a session of its own, with its output in files of the cloud's folder."""
        with open(self.path(name + ".out"), "ab") as out, open(self.path(name + ".err"), "ab") as err:
            child = subprocess.Popen([*namespace.enter(), *command], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                     start_new_session=True)
        self.children.append(child)
        return child

    def write_config(self, name, config):
        with open(self.path(name), "w") as file:
            json.dump(config, file, indent=1)
        return self.path(name)

    def dispatcher_config(self, host):
        return {"host": host, "cmdb": self.cmdb, "address": self.network.address(host),
                "state_directory": self.path("state", host), "cluster_key_file": self.path("cluster.key"),
                **self.dispatcher_options}

    def set_pressure(self, host, percent):
        """What a host reads as its processors' pressure; all hosts share this machine's, which says nothing of one."""
        with open(self.path(f"{host}.pressure"), "w") as file:
            file.write(f"some avg10={percent:.2f} avg60={percent:.2f} avg300={percent:.2f} total=0\n")

    def start_dispatcher(self, host):
        os.makedirs(self.path("state", host), exist_ok=True)
        if not os.path.exists(self.path(f"{host}.pressure")):
            self.set_pressure(host, 0)
        config = self.write_config(f"{host}.json", self.dispatcher_config(host))
        seen = self.read(f"{host}.out").count("ready\n")
        mask = '[ ! -e /proc/pressure/cpu ] || mount --bind "$0" /proc/pressure/cpu; exec "$@"'
        child = self.spawn(self.network.hosts[host], host, "unshare", "--mount", "sh", "-c", mask,
                           self.path(f"{host}.pressure"), f"{BIN}/fc-dispatcher", "--config", config)
        self.dispatchers[host] = child
        wait_until(lambda: self.read(f"{host}.out").count("ready\n") > seen or self.ended(child), f"{host} is ready")
        return child

    @contextlib.contextmanager
    def through(self, i):
        """Loads and requests go to the i-th proxy (0 is the first)."""
        before, self.network.proxy = self.network.proxy, self.network.proxies[i]
        try:
            yield
        finally:
            self.network.proxy = before

    def proxy_config(self):
        return {"listen": f"127.0.0.1:{PROXY_PORT}", "admin": f"127.0.0.1:{ADMIN_PORT}", "cmdb": self.cmdb,
                "cluster_key_file": self.path("cluster.key"), "log": {"path": self.path("requests.log")}, **self.proxy_options}

    def start_peers(self):
        """A proxy in each namespace, each of them the others' peer."""
        addresses = [f"{self.network.proxy_address(i)}:7071" for i in range(self.proxy_count)]
        for i, own in enumerate(addresses):
            peers = [address for address in addresses if address != own]
            config = {**self.proxy_config(), "bind": own, "peers": peers,
                      "log": {"path": self.path(f"requests-{i}.log")}}
            path = self.write_config(f"proxy-{i}.json", config)
            child = self.spawn(self.network.proxies[i], f"proxy-{i}", f"{BIN}/fc-proxy", "--config", path)
            with self.through(i):
                wait_until(lambda: self.ended(child) or self.healthy(), f"proxy {i} is healthy")

    def start_proxy(self):
        config = self.write_config("proxy.json", self.proxy_config())
        self.proxy = self.spawn(self.network.proxy, "proxy", f"{BIN}/fc-proxy", "--config", config)
        wait_until(lambda: self.ended(self.proxy) or self.healthy(), "the proxy is healthy")

    @staticmethod
    def ended(child):
        if child.poll() is not None:
            raise AssertionError(f"{child.args} ended with {child.returncode}")
        return False

    def healthy(self):
        try:
            return self.admin("/healthz").status == 200
        except OSError:
            return False

    # ---- the CMDB -----------------------------------------------------------------------------------

    def fcctl(self, *words, check=True):
        result = self.network.proxy.run(f"{BIN}/fcctl", "--cmdb", self.cmdb, "--cluster-key", self.path("cluster.key"),
                                        "--json", *words, check=False)
        if check and result.returncode != 0:
            raise AssertionError(f"fcctl {' '.join(words)}: {result.returncode}: {result.stderr}")
        return result

    def apply(self, records):
        return self.fcctl("apply", self.write_config("apply.json", records))

    def site(self, name, **spec):
        """A container with one key, NAME.test."""
        self.apply({"specs": {name: {"class": "apache", **spec}}, "keys": {f"{name}.test": name}})

    def placement(self, container):
        """(host, epoch)."""
        value = json.loads(self.fcctl("get", "placement", container).stdout)["value"]
        return value["replicas"][0]["host"], value["replicas"][0]["epoch"]

    # ---- the processes ------------------------------------------------------------------------------

    def containers(self, host):
        """The processes of a host other than its dispatcher."""
        own = {child.pid for child in self.children}
        return [pid for pid in self.network.hosts[host].pids() if pid not in own]

    def container_count(self):
        """Running copies, by what listens: one for each address and port."""
        count = 0
        for namespace in self.network.hosts.values():
            count += len(set(re.findall(r"10\.77\.0\.\d+:\d+", namespace.run("ss", "-Hltn").stdout)))
        return count

    def kill(self, host, what=("dispatcher", "containers"), sig=signal.SIGKILL):
        pids = []
        if "dispatcher" in what:
            pids.append(self.dispatchers[host].pid)
        if "containers" in what:
            pids += self.containers(host)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)

    def starts(self, container):
        """The addresses at which it was started, in order."""
        lines = [line.split() for line in self.read("run", "starts").splitlines()]
        return [line[1] for line in lines if line[0] == container]

    def executions(self, identity):
        return [line.split()[2] for line in self.read("run", "executions").splitlines() if line.split()[1] == identity]

    # ---- requests and numbers -----------------------------------------------------------------------

    def request(self, host, path="/", method="GET", port=PROXY_PORT, timeout=60, headers=None, body=None, address="127.0.0.1"):
        connection = http.client.HTTPConnection(address, port, timeout=timeout)
        connection.sock = self.network.proxy.connect(address, port, timeout)
        try:
            connection.request(method, path, body=body, headers={"Host": host, **(headers or {})})
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def admin(self, path):
        return self.request("localhost", path, port=ADMIN_PORT, timeout=5)

    def metrics(self):
        """{'name{labels}': value}."""
        values = {}
        for line in self.admin("/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def metric(self, name):
        """The sum over all labels."""
        return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name)

    def request_log(self):
        return [json.loads(line) for line in self.read("requests.log").splitlines() if line.startswith("{")]

    def read(self, *parts):
        try:
            with open(self.path(*parts), errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""
