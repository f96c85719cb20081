"""fc-proxy as it comes, with a dispatcher on each host. One container."""
from proxies import Proxy


class FastContainer(Proxy):
    containers = 1
    program = "apache2"
    about = "`fc-proxy` and `fc-dispatcher` with no option set but addresses and a key"

    def start(self, stage):
        stage.apply({"specs": {"site": stage.spec()}, "keys": {stage.key: "site"}})
        for host in stage.network.hosts:
            stage.start_dispatcher(host)
        stage.start_proxy()
        stage.prepare("127.0.0.1:8080")

    def victim_of(self, stage):
        return stage.placement("site")[0]


PROXIES = {"fastcontainer": FastContainer()}
