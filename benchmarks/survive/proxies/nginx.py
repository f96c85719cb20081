"""nginx, as its documentation's load balancer (http://nginx.org/en/docs/http/load_balancing.html), and tuned."""
from proxies import Proxy

# Debian's nginx.conf allows 768 connections a worker, which 1,000 clients would exceed: raised in both rows.
FRAME = """
daemon off; pid {folder}/nginx.pid; error_log stderr error; user nobody nogroup;
worker_processes auto; worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/temp; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_field {{ default upgrade; '' '{idle}'; }}
{body}
}}
"""

# What nginx documents for WebSockets, and nothing else beside its defaults (60 s for a connection, 60 s for an answer).
DEFAULT = """
  upstream site {{ {servers} }}
  server {{
    listen 8080;
    location / {{ proxy_pass http://site; proxy_set_header Host $http_host; {websocket} }}
  }}
"""
WEBSOCKET = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_field;"

# Three failures take a server out for 5 s, all workers know of it, and nobody waits long for a dead one. The answer of
# a slow page may take 2 s; a POST that was sent is not sent again (no non_idempotent).
TUNED = """
  upstream site {{ zone site 256k; {servers} keepalive 16; keepalive_requests 100000; }}
  server {{
    listen 8080 backlog=4096;
    keepalive_requests 100000;
    client_body_buffer_size 64k;
    location / {{
      proxy_pass http://site; proxy_set_header Host $http_host; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_field;
      proxy_connect_timeout 300ms; proxy_read_timeout 2s; proxy_send_timeout 2s;
      proxy_next_upstream error timeout http_502 http_503 http_504; proxy_next_upstream_tries 2;
    }}
  }}
"""


class Nginx(Proxy):
    program = "nginx"

    def __init__(self, tuned, about):
        self.tuned, self.about = tuned, about

    def serve(self, stage, servers):
        limits = " max_fails=3 fail_timeout=5s" if self.tuned else ""
        body = (TUNED if self.tuned else DEFAULT).format(
            servers=" ".join(f"server {server}{limits};" for server in servers),
            websocket=WEBSOCKET if stage.load.site == "websocket" else "")
        folder = stage.scratch("nginx")
        config = stage.write("nginx.conf", FRAME.format(folder=folder, body=body, idle="" if self.tuned else "close"))
        stage.spawn_proxy("nginx", "-p", folder, "-e", "stderr", "-c", config)


PROXIES = {
    "nginx": Nginx(False, "an `upstream` of two servers, all else by default"),
    "nginx-tuned": Nginx(True, "`max_fails=3`, a shared `zone`, kept connections, 300 ms to connect, 2 s to answer, next server on "
                               "each error"),
}
