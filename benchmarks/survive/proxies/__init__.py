"""The proxies of the benchmark: each file here is one, and PROXIES in it its rows. A new one needs nothing else."""
import importlib
import pkgutil


class Proxy:
    """By default, one that has a back end standing on each host."""
    containers = 2
    about = ""      # in the README's list of rows
    program = ""    # that must be installed
    victim = "h1"   # the host that dies first

    def start(self, stage):
        """Has a proxy serve port 8080 of namespace stage.network.proxy, for the hosts' servers."""
        for host in stage.network.hosts:
            stage.start_server(host)
        stage.prepare(*stage.servers())
        self.serve(stage, stage.servers())

    def serve(self, stage, servers):
        """Starts the proxy itself by stage.spawn_proxy(); `servers` are "address:port"."""
        raise NotImplementedError

    def victim_of(self, _stage):
        return self.victim


def proxies():
    """{name: Proxy} of all files, in the order of the tables: ours, then the others."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        found.update(importlib.import_module(f"{__name__}.{module.name}").PROXIES)
    return dict(sorted(found.items(), key=lambda item: item[0] != "fastcontainer"))
