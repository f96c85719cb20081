"""What is wrong is refused by name, and costs nobody else anything."""
import json
import os
import secrets
import subprocess

from cloud import BIN, Cloud, wait_until
from load import Ab


def refused(cloud, status, said, *command):
    """The command ends with `status` and says all of `said`."""
    result = subprocess.run([*cloud.network.proxy.enter(), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert result.returncode == status, (command, result.returncode, result.stderr)
    for words in said:
        assert words in result.stderr, (command, words, result.stderr)


def with_text(cloud, name, text):
    with open(cloud.path(name), "w") as file:
        file.write(text)
    return cloud.path(name)


def test_bad_configuration_is_refused_by_field():
    with Cloud(start=False) as cloud:
        for program, good in (("fc-dispatcher", cloud.dispatcher_config("h1")), ("fc-proxy", cloud.proxy_config())):
            def start(text):
                return f"{BIN}/{program}", "--config", with_text(cloud, "bad.json", text)
            refused(cloud, 2, ["bad.json"], *start("{"))
            refused(cloud, 2, ["cmdb"], *start('{"cmdb":"memory:","cmdb":"memory:"}'))
            refused(cloud, 2, ["nonsense"], *start(json.dumps({**good, "nonsense": 1})))
            refused(cloud, 2, ["cmdb"], *start(json.dumps({**good, "cmdb": 7})))
            refused(cloud, 2, [], f"{BIN}/{program}", "--config", cloud.path("absent.json"))
            refused(cloud, 2, [], f"{BIN}/{program}", "--nonsense")


def test_bad_records_change_nothing():
    with Cloud(start=False) as cloud:
        def apply(text):
            return (f"{BIN}/fcctl", "--cmdb", cloud.cmdb, "--cluster-key", cloud.path("cluster.key"), "apply",
                    with_text(cloud, "bad.json", text))
        good = '"keys":{"good.test":"good"},"specs":{"good":{"class":"apache"}'
        before = cloud.fcctl("list", "spec").stdout
        refused(cloud, 2, ["appears twice"], *apply('{"specs":{"a":{"port":1,"port":2}}}'))
        refused(cloud, 2, ["port"], *apply('{%s,"bad":{"class":"apache","port":"x"}}}' % good))
        refused(cloud, 2, ["writers"], *apply('{%s,"bad":{"class":"apache","writers":"many"}}}' % good))
        refused(cloud, 2, ["absent"], *apply('{%s,"bad":{"class":"absent"}}}' % good))
        refused(cloud, 2, ["absent"], *apply('{"keys":{"a.test":"absent"}}'))
        refused(cloud, 2, ["nonsense"], *apply('{"nonsense":{}}'))
        assert cloud.fcctl("list", "spec").stdout == before
        refused(cloud, 2, ["KIND"], f"{BIN}/fcctl", "--cmdb", cloud.cmdb, "get", "nonsense", "x")
        refused(cloud, 4, ["x"], f"{BIN}/fcctl", "--cmdb", cloud.cmdb, "get", "spec", "x")


def test_bad_host_names_get_404():
    with Cloud() as cloud:
        cloud.site("one")
        assert cloud.request("unknown.test").status == 404
        assert cloud.request("one.test").status == 200
        for _ in range(50):
            assert cloud.request(f"{secrets.token_hex(8)}.test").status == 404
        refused(cloud, 4, [], f"{BIN}/fcctl", "--cmdb", cloud.cmdb, "--cluster-key", cloud.path("cluster.key"), "place",
                "one", "absent")


def test_bad_database_is_refused_and_left_alone():
    with Cloud(start=False) as cloud:
        garbage = b"this is no database\n" * 4096
        with open(cloud.path("corrupt.db"), "wb") as file:
            file.write(garbage)
        url = "sqlite:" + cloud.path("corrupt.db")
        config = {**cloud.dispatcher_config("h1"), "cmdb": url}
        refused(cloud, 1, ["corrupt.db"], f"{BIN}/fc-dispatcher", "--config", cloud.write_config("c.json", config))
        config = {**cloud.proxy_config(), "cmdb": url}
        refused(cloud, 1, ["not a database"], f"{BIN}/fc-proxy", "--config", cloud.write_config("p.json", config))
        refused(cloud, 3, ["corrupt.db"], f"{BIN}/fcctl", "--cmdb", url, "ps")
        refused(cloud, 3, ["/absent/"], f"{BIN}/fcctl", "--cmdb", "sqlite:/absent/cmdb.db", "ps")
        with open(cloud.path("corrupt.db"), "rb") as file:
            assert file.read() == garbage


def test_bad_full_disk_is_told():
    with Cloud(start=False) as cloud:
        os.mkdir(cloud.path("small"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", cloud.path("small")], check=True)
        try:
            url = "sqlite:" + cloud.path("small", "cmdb.db")
            specs = {f"s{i}": {"command": ["x" * 1000]} for i in range(400)}
            refused(cloud, 3, [], f"{BIN}/fcctl", "--cmdb", url, "apply",
                    cloud.write_config("many.json", {"specs": specs}))
        finally:
            subprocess.run(["umount", "-l", cloud.path("small")], check=True)


def test_bad_port_in_use_is_told():
    with Cloud() as cloud:
        config = {**cloud.dispatcher_config("h1"), "state_directory": cloud.path("other")}
        os.mkdir(cloud.path("other"))
        namespace, cloud.network.proxy = cloud.network.proxy, cloud.network.hosts["h1"]
        refused(cloud, 1, ["7070"], f"{BIN}/fc-dispatcher", "--config", cloud.write_config("c.json", config))
        cloud.network.proxy = namespace
        config = {**cloud.proxy_config(), "admin": "127.0.0.1:9902"}
        refused(cloud, 1, ["8080"], f"{BIN}/fc-proxy", "--config", cloud.write_config("p.json", config))
        cloud.site("one")
        assert cloud.request("one.test").status == 200


def test_bad_datagrams_get_silence():
    with Cloud() as cloud:
        cloud.site("one")
        assert cloud.request("one.test").status == 200
        program = ("import os,socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(0.5)\n"
                   "for i in range(2000): s.sendto(os.urandom(i % 1400), ('ADDRESS', 7070))\n"
                   "try: print(s.recv(2000))\nexcept TimeoutError: print('silence')\n")
        for host in cloud.network.hosts:
            answer = cloud.network.proxy.run("/usr/bin/python3", "-c",
                                              program.replace("ADDRESS", cloud.network.address(host))).stdout
            assert answer == "silence\n", answer
        assert cloud.request("one.test").status == 200
        assert len(cloud.starts("one")) == 1


def failing(command, ready=None):
    """Ten requests at once for a container that will not start: each gets 503, and soon nothing is left of it."""
    with Cloud() as cloud:
        cloud.site("good")
        cloud.site("bad", command=command, ready=ready or {"http": "/", "timeout_s": 2})
        assert cloud.request("good.test").status == 200
        load = Ab(cloud, "bad", requests=10, concurrency=10)
        out, _ = load.output()
        assert "Non-2xx responses:      10" in out, out
        response = cloud.request("bad.test")
        assert response.status == 503 and int(response.headers["Retry-After"]) >= 1, response.status
        lines = wait_until(lambda: all_of(cloud, "bad.test", 11), "the proxy has logged them")
        assert all(line["status"] == 503 and line["error"] for line in lines), lines
        attempts = len(cloud.starts("bad"))
        assert attempts <= 6, attempts  # once on each host, and again after the back-off at most
        assert cloud.request("good.test").status == 200
        wait_until(lambda: cloud.container_count() == 1, "nothing of it is left", 30)
        marker = b"CONTAINER=bad\0"
        assert not [pid for host in cloud.network.hosts for pid in cloud.containers(host)
                    if marker in environment(pid)]


def all_of(cloud, key, count):
    lines = [line for line in cloud.request_log() if line["key"] == key]
    return lines if len(lines) == count else None


def environment(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""


def test_bad_command_does_not_exist():
    failing(["/absent/program"])


def test_bad_command_dies_at_once():
    failing(["/bin/sh", "-c", 'echo "$CONTAINER $ADDRESS $PORT" >> "$RUN/starts"; exit 3'])


def test_bad_command_never_becomes_ready():
    failing(["/bin/sh", "-c", 'echo "$CONTAINER $ADDRESS $PORT" >> "$RUN/starts"; sleep 1000 & sleep 1000'])
