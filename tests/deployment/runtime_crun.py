"""examples/runtime_crun: a dispatcher in Python, whose containers are those of the command crun."""
import json
import os
import shutil
import signal
import subprocess

from cloud import BIN, HERE, Cloud, wait_until
from load import OpenLoop, when_half_way
from request_path import warm

SERVER = ["/bin/busybox", "httpd", "-f", "-p", "$ADDRESS:$PORT", "-h", "/www"]
RATE = 100


class CrunCloud(Cloud):
    """One host, whose dispatcher is the example; an image of busybox alone."""

    def __init__(self):
        super().__init__(hosts=1)

    def __enter__(self):
        super().__enter__()
        self.apply({"classes": {"busybox": {"command": SERVER, "environment": {"IMAGE": "busybox"}, "ready": {"http": "/"},
                                            "stop": {"grace_s": 1}}}})
        return self

    def build_image(self):
        root = self.path("images", "busybox")
        for folder in ("bin", "dev", "proc", "tmp", "run", "www"):
            os.makedirs(os.path.join(root, folder))
        shutil.copy("/bin/busybox", os.path.join(root, "bin"))
        with open(os.path.join(root, "www", "index.html"), "w") as page:
            page.write("hello from busybox\n")

    def start_dispatcher(self, host):
        if not os.path.exists(self.path("images")):
            self.build_image()
        seen = self.read(f"{host}.out").count("ready\n")
        # crun refuses machines that have cgroups of both versions: the dispatcher is shown the older ones only.
        hide = '! mountpoint -q /sys/fs/cgroup/unified || mount -t tmpfs none /sys/fs/cgroup/unified; exec "$@"'
        child = self.spawn(self.network.hosts[host], host, "unshare", "--mount", "sh", "-c", hide, "sh", "env",
                           f"PYTHONPATH={BIN}/../python:{HERE}/../../examples/runtime_crun", "/usr/bin/python3", "-BPm",
                           "runtime_crun", "--host", host, "--cmdb", self.cmdb, "--address", self.network.address(host),
                           "--state", self.path("state", host), "--images", self.path("images"),
                           "--cluster-key", self.path("cluster.key"), "--cgroups", "disabled")
        self.dispatchers[host] = child
        wait_until(lambda: self.read(f"{host}.out").count("ready\n") > seen or self.ended(child), f"{host} is ready")

    def site(self, name, **spec):
        self.apply({"specs": {name: {"class": "busybox", **spec}}, "keys": {f"{name}.test": name}})

    def running(self):
        """{id: pid} of what crun says; it fails when one is deleted while it looks."""
        def look():
            return subprocess.run(["crun", "--root", self.path("state", "h1", "crun"), "list", "--format", "json"], check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        listed = wait_until(lambda: (lambda done: done if done.returncode == 0 else None)(look()), "crun lists")
        return {one["id"]: one["pid"] for one in json.loads(listed.stdout or "[]") if one["status"] == "running"}

    def bundles(self):
        return os.listdir(self.path("state", "h1", "bundles"))

    def gone(self):
        """Nothing is left of any container."""
        return not self.running() and not self.bundles() and not self.containers("h1")


def test_R35_crun_starts_a_container_for_the_first_request_and_ends_it_when_idle():
    with CrunCloud() as cloud:
        cloud.site("one", keep_alive={"idle_s": 1}, command=[
            "/bin/busybox", "sh", "-c", "trap 'exit 0' TERM; /bin/busybox httpd -f -p $ADDRESS:$PORT -h /www & wait"])
        cloud.site("two", keep_alive={"idle_s": 1})  # does not listen to SIGTERM: killed when its grace ends
        assert cloud.gone()
        assert cloud.request("one.test").body == b"hello from busybox\n"
        (name, pid), = cloud.running().items()
        assert os.readlink(f"/proc/{pid}/exe") == "/bin/busybox" and name.startswith("h1-1-"), name
        for kind, shared in (("pid", False), ("mnt", False), ("ipc", False), ("net", True)):
            same = os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/{cloud.dispatchers['h1'].pid}/ns/{kind}")
            assert same == shared, (kind, same)
        warm(cloud, "two")
        wait_until(cloud.gone, "both have ended")
        warm(cloud, "one")
        assert name not in cloud.running()


def test_R35_a_container_of_crun_that_is_killed_is_started_again_and_no_request_fails():
    with CrunCloud() as cloud:
        cloud.site("one")
        warm(cloud, "one")
        (name, pid), = cloud.running().items()
        load = OpenLoop(cloud, "one", rate=RATE, seconds=4)
        when_half_way(cloud, load, RATE * 4)
        os.kill(pid, signal.SIGKILL)
        load.check()
        assert list(cloud.running()) != [name] and cloud.bundles() == list(cloud.running())
        # The dispatcher learns it from the runtime, not from a request that fails.
        told = cloud.read("h1.err").count("its first process has ended")
        os.kill(*cloud.running().values(), signal.SIGKILL)
        wait_until(cloud.gone, "it is cleaned up")
        assert cloud.read("h1.err").count("its first process has ended") == told + 1


def test_R35_the_next_dispatcher_takes_over_what_crun_runs_and_no_request_fails():
    with CrunCloud() as cloud:
        cloud.site("one")
        warm(cloud, "one")
        running = cloud.running()
        for sig in (signal.SIGKILL, signal.SIGTERM):
            load = OpenLoop(cloud, "one", rate=RATE, seconds=4)
            when_half_way(cloud, load, RATE * 4)
            cloud.dispatchers["h1"].send_signal(sig)
            cloud.dispatchers["h1"].wait(10)
            cloud.start_dispatcher("h1")
            load.check()
            assert cloud.running() == running
        # Its end is seen as that of one which this dispatcher has started.
        os.kill(*running.values(), signal.SIGKILL)
        wait_until(cloud.gone, "it is cleaned up")
        warm(cloud, "one")
        # A container that ends while nobody watches is no container for the next one.
        cloud.kill("h1")
        cloud.dispatchers["h1"].wait(10)
        cloud.start_dispatcher("h1")
        wait_until(cloud.gone, "what is dead is not taken over")
        warm(cloud, "one")


def test_R35_a_container_of_crun_that_cannot_start_leaves_nothing():
    with CrunCloud() as cloud:
        cases = {"absent": ({"command": ["/bin/absent"]}, "absent"), "silent": ({"ready": {"tcp": True, "timeout_s": 1},
                 "command": ["/bin/busybox", "sleep", "100"]}, "did not answer"), "no-image":
                 ({"environment": {"IMAGE": "../busybox"}}, "accepted is"),
                 "ends": ({"command": ["/bin/busybox", "sh", "-c", "echo out of order; exit 3"]}, "out of order")}
        for name, (spec, text) in cases.items():
            cloud.site(name, **spec)
            answer = cloud.request(f"{name}.test")
            assert answer.status == 503, (name, answer.status, answer.body)
            assert text in cloud.read("h1.err"), (name, cloud.read("h1.err")[-500:])
            wait_until(cloud.gone, f"nothing is left of {name}")
