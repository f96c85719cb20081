"""Caddy with a plain reverse_proxy of two upstreams, and tuned."""
from proxies import Proxy

FRAME = """
{{
    admin off
    auto_https off
    storage file_system {folder}
    log {{
        level ERROR
    }}
}}
http://:8080 {{
    reverse_proxy {servers} {body}
}}
"""

# Passive and active checks, another try for 5 s, and nobody waits long for a dead server.
TUNED = """{
        lb_policy least_conn
        lb_try_duration 5s
        lb_try_interval 20ms
        fail_duration 10s
        max_fails 1
        HEALTH
        transport http {
            dial_timeout 200ms
            response_header_timeout 2s
            keepalive 4s
            keepalive_idle_conns_per_host 16
        }
    }"""
HEALTH = """health_uri URI
        health_interval 100ms
        health_timeout 250ms"""


class Caddy(Proxy):
    program = "caddy"

    def __init__(self, tuned, about):
        self.tuned, self.about = tuned, about

    def serve(self, stage, servers):
        health = HEALTH.replace("URI", stage.load.health) if stage.load.health else ""
        body = TUNED.replace("HEALTH", health) if self.tuned else ""
        folder = stage.scratch("caddy")
        config = stage.write("Caddyfile", FRAME.format(folder=folder, servers=" ".join(servers), body=body))
        stage.spawn_proxy("env", f"HOME={folder}", f"XDG_DATA_HOME={folder}", f"XDG_CONFIG_HOME={folder}",
                          "caddy", "run", "--config", config, "--adapter", "caddyfile")


PROXIES = {
    "caddy": Caddy(False, "`reverse_proxy` of two upstreams, all else by default"),
    "caddy-tuned": Caddy(True, "`lb_try_duration 5s`, `max_fails 1`, `health_uri` each 100 ms, 200 ms to connect, 2 s to answer"),
}
