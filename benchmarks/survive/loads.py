"""The loads: what the clients do. All times are the load's own, seen from the clients' namespace."""
import dataclasses

SECONDS = 10.0     # of load; longer where the fault needs it
PATIENCE = 10.0    # s; then a user gives up, and the request has failed
LARGE_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class Load:
    name: str
    what: str
    options: tuple            # of survive_load
    path: str = "/"
    site: str = "static"      # what runs as the container: static, php, websocket or wordpress
    health: str = "/"         # what a health check asks for; no check of HTTP where it is empty
    post: str = ""            # the body's file and type, where it is not --post
    expect: str = ""          # the file that each answer must equal
    concurrency: int = 16     # requests that the container serves at a time

    @property
    def closed(self):
        return "--clients" in self.options

    @property
    def posts(self):
        """What it asks may have been done when the answer is lost."""
        return "--post" in self.options or bool(self.post)


def closed_loop(clients, keep):
    options = ("--clients", str(clients)) + (("--keep-alive",) if keep else ())
    how = "kept connections" if keep else "a new connection for each request"
    return Load(f"closed-{clients}{'' if keep else '-new'}", f"closed loop of {clients:,} clients, {how}", options,
                expect="index.html")


LOADS = {load.name: load for load in (
    closed_loop(10, False), closed_loop(10, True), closed_loop(64, False), closed_loop(64, True),
    closed_loop(1000, False), closed_loop(1000, True),
    Load("open-500", "open loop of 500 requests/s", ("--rate", "500"), expect="index.html"),
    Load("post", "open loop of 200 POSTs/s with 16 KiB", ("--rate", "200", "--post", "16384"), path="/post.php?id={n}", site="php"),
    Load("download", f"4 clients, each a download of {LARGE_BYTES >> 20} MiB after the other",
         ("--clients", "4", "--keep-alive"), path="/large", expect="large"),
    Load("websocket", "10 WebSockets, a text each 20 ms", ("--clients", "10", "--websocket", "20"), site="websocket",
         health=""),
    Load("wordpress", "open loop of 5 pages/s of WordPress", ("--rate", "5"), site="wordpress", health="/readme.html"),
    Load("wordpress-post", "open loop of 2 new posts/s of WordPress", ("--rate", "2"), path="/xmlrpc.php", site="wordpress",
         health="/readme.html", post="new-post.xml,text/xml"),
)}
