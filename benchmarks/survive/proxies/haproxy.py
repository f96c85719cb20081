"""HAProxy with the defaults that Debian's haproxy.cfg gives it and `check`, and tuned."""
from proxies import Proxy

DEFAULT = """
global
    maxconn 8000
defaults
    mode http
    timeout connect 5000
    timeout client 50000
    timeout server 50000
listen site
    bind :8080
    balance roundrobin
{servers}
"""

# Checks ten times a second, two failures take a server out and its sessions with it, failed requests go to the other
# (not POSTs, but for those that never were connected), and a server gets no more at once than it has processes.
TUNED = """
global
    maxconn 8000
    spread-checks 5
defaults
    mode http
    timeout connect 200ms
    timeout check 250ms
    timeout client 50s
    timeout server 2s
    timeout queue 10s
    timeout tunnel 1h
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response response-timeout 502 503 504
    option http-keep-alive
    http-reuse safe
listen site
    bind :8080 backlog 4096
    balance leastconn
    http-request disable-l7-retry if METH_POST
    {check}
    default-server check inter 100ms fastinter 50ms downinter 200ms fall 2 rise 2 maxconn {most} observe layer4 \
error-limit 3 on-error mark-down on-marked-down shutdown-sessions
{servers}
"""


class Haproxy(Proxy):
    program = "haproxy"

    def __init__(self, tuned, about):
        self.tuned, self.about = tuned, about

    def serve(self, stage, servers):
        lines = "\n".join(f"    server s{i} {server}{'' if self.tuned else ' check'}"
                          for i, server in enumerate(servers))
        text = (TUNED if self.tuned else DEFAULT).format(servers=lines, most=stage.load.concurrency,
                                                             check=f"option httpchk GET {stage.load.health}" if stage.load.health else "")
        stage.spawn_proxy("haproxy", "-db", "-f", stage.write("haproxy.cfg", text))


PROXIES = {
    "haproxy": Haproxy(False, "Debian's defaults, `roundrobin`, two servers with `check`"),
    "haproxy-tuned": Haproxy(True, "`httpchk` each 100 ms, `fall 2`, `redispatch`, `retry-on` (never a POST), 200 ms to connect, 2 s to answer, "
                                   "`on-marked-down shutdown-sessions`"),
}
