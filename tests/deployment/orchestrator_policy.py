"""R35: a policy in Python that fails, or takes too long, decides nothing: the built-in one places, and no request fails."""
import os

from cloud import wait_until
from orchestrator import Loads, Orchestrated

HEAD = "import time\nfrom fastcontainer.policy import policy\n\n\n@policy\ndef choose(request, hosts):\n    "
CALLS = 'fastcontainer_python_policy_calls_total{outcome="%s"}'
LOADED = 'fastcontainer_python_policy_loads_total{outcome="loaded"}'


class Policies(Orchestrated):
    """The orchestrators place by a file of the site's."""

    def __init__(self):
        super().__init__()
        self.drained = None

    def start_orchestrator(self, i):
        self.orchestrator_options = ["--policy", self.path("policy.py")]
        if not os.path.exists(self.path("policy.py")):
            self.write_policy("raise RuntimeError('out of order')")
        super().start_orchestrator(i)

    def write_policy(self, body):
        with open(self.path("policy.py.new"), "w") as file:
            file.write(HEAD + body + "\n")
        os.rename(self.path("policy.py.new"), self.path("policy.py"))

    def number(self, name):
        """Over both orchestrators."""
        lines = [line for i in range(2) for line in self.call("GET", "/metrics", i=i)[1].splitlines()]
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name)

    def change_policy(self, body):
        before = self.number(LOADED)
        self.write_policy(body)
        wait_until(lambda: self.number(LOADED) == before + 2, "both have loaded it")

    def drain(self, host):
        """Drains it, and nothing else is drained then. Returns where each of its containers went."""
        if self.drained:
            self.fcctl("undrain", self.drained)
        self.drained = host
        before = {name for name in self.names if self.placement(name)[0] == host}
        assert before, f"nothing is on {host}"
        self.ended_as(self.submit("drain", host=host), "done")
        return {self.placement(name)[0] for name in before}


def test_R35_a_policy_in_python_that_raises_or_overruns_decides_nothing_and_no_request_fails():
    with Policies() as cloud:
        cloud.names = cloud.sites(6)
        loads = Loads(cloud, cloud.names, seconds=20, rate=10)
        for body, outcome in (("raise RuntimeError('out of order')", "exception"), ("time.sleep(0.02)\n    return 0", "overrun"),
                              ("return 'nowhere'", "wrong")):
            if outcome != "exception":
                cloud.change_policy(body)
            before = cloud.number(CALLS % outcome)
            host = cloud.placement(cloud.names[0])[0]
            assert host not in cloud.drain(host)
            assert cloud.number(CALLS % outcome) > before and cloud.number(CALLS % "used") == 0
        # And one that works is followed.
        host = cloud.placement(cloud.names[0])[0]
        target = next(one for one in cloud.network.hosts if one not in (host, cloud.drained))
        cloud.change_policy(f"return '{target}'")
        assert cloud.drain(host) == {target}
        assert cloud.number(CALLS % "used") > 0
        loads.check()
