"""fcctl on every store: SQLite, etcd and PostgreSQL, and a whole CMDB carried from each to the next."""
import glob
import json
import os
import pwd
import signal
import subprocess
import tempfile

from cloud import BIN, Cloud, wait_until
from load import OpenLoop, when_half_way
from request_path import warm

ETCD = "10.77.0.101"
POSTGRES = "10.77.0.111"
MANY = 300  # records; etcd takes 128 operations a transaction


class Stores(Cloud):
    """Three hosts, and every store; `use()` chooses whose URL the programs get."""

    def __init__(self):
        super().__init__(hosts=3, start=False)
        self.data = None
        self.etcd = None
        self.etcd_machine = None

    def start_store(self):
        self.start_etcd()
        self.start_postgres()
        return self.url("sqlite")

    def url(self, store, name="one"):
        return {"sqlite": "sqlite:" + self.path(f"{name}.db"), "etcd": f"etcd://{ETCD}:2379",
                "postgresql": f"postgresql://admin@{POSTGRES}:5432/postgres?schema={name}"}[store]

    def start_etcd(self):
        self.etcd_machine = self.network.add_server("e1", ETCD)
        self.run_etcd(self.path("etcd"))

    def run_etcd(self, folder):
        self.etcd = self.spawn(
            self.etcd_machine, "etcd", "etcd", "--name", "e1", "--data-dir", folder, "--logger", "zap",
            "--listen-client-urls", f"http://{ETCD}:2379", "--advertise-client-urls", f"http://{ETCD}:2379",
            "--listen-peer-urls", f"http://{ETCD}:2380", "--initial-advertise-peer-urls", f"http://{ETCD}:2380",
            "--initial-cluster", f"e1=http://{ETCD}:2380")
        wait_until(lambda: self.network.proxy.run("env", "ETCDCTL_API=3", "etcdctl", "--endpoints", f"{ETCD}:2379",
                                                  "endpoint", "health", check=False).returncode == 0, "etcd serves", 30)

    def start_postgres(self):
        """As nobody: it refuses to run as root."""
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        nobody = pwd.getpwnam("nobody")
        user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        if not programs or subprocess.run([*user, "true"], check=False).returncode != 0:
            print("skipped: PostgreSQL cannot run here")
            raise SystemExit(77)
        machine = self.network.add_server("p1", POSTGRES)
        self.data = tempfile.mkdtemp(prefix="fc-postgres-")
        os.chown(self.data, nobody.pw_uid, nobody.pw_gid)
        machine.run(*user, f"{programs[-1]}/initdb", "-D", f"{self.data}/data", "-U", "admin", "-A", "trust", "-E", "UTF8",
                    "--locale=C", "--no-sync", "--no-instructions")
        with open(f"{self.data}/data/pg_hba.conf", "a") as rules:
            rules.write("host all all 10.77.0.0/24 trust\n")
        self.spawn(machine, "postgres", *user, f"{programs[-1]}/postgres", "-D", f"{self.data}/data", "-k", self.data,
                   "-c", f"listen_addresses={POSTGRES}")
        wait_until(lambda: machine.run(f"{programs[-1]}/pg_isready", "-h", POSTGRES, check=False).returncode == 0,
                   "PostgreSQL serves", 30)

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        if self.data:
            subprocess.run(["rm", "-rf", self.data], check=False)

    def use(self, store, name="one"):
        self.cmdb = self.url(store, name)

    def start(self):
        for host in self.network.hosts:
            self.start_dispatcher(host)

    def stop(self):
        for child in self.dispatchers.values():
            child.send_signal(signal.SIGTERM)
        for child in self.dispatchers.values():
            child.wait(timeout=20)

    def exported(self, name):
        """The records of an export, without its header."""
        self.fcctl("export", self.path(name))
        lines = self.read(name).splitlines()
        assert json.loads(lines[0])["records"] == len(lines) - 1, lines[0]
        return lines[1:]

    def watch(self, *words):
        child = subprocess.Popen([*self.network.proxy.enter(), f"{BIN}/fcctl", "--cmdb", self.cmdb, "--json", "watch", *words],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.children.append(child)
        return child


def archive(cloud, name, records, announced=None):
    lines = [json.dumps({"fastcontainer_export": 1, "revision": 7, "records": len(records) if announced is None else announced})]
    lines += [record if isinstance(record, str) else json.dumps(record) for record in records]
    with open(cloud.path(name), "w") as file:
        file.write("\n".join(lines) + "\n")
    return cloud.path(name)


def operate(cloud):
    """What an operator does in a day."""
    cloud.apply({"specs": {"shop": {"class": "apache"}}, "keys": {"shop.test": "shop"}})
    changes = cloud.watch("placement", "--count", "2", "--timeout", "60")
    placed = []
    while changes.poll() is None:  # it sees what happens from its own begin on
        placed.append("h1" if placed[-1:] == ["h2"] else "h2")
        cloud.fcctl("place", "shop", placed[-1])
    out, err = changes.communicate(timeout=60)
    events = [json.loads(line) for line in out.splitlines()]
    seen = [event["value"]["replicas"][0]["host"] for event in events if event["event"] == "PUT"]
    assert changes.returncode == 0 and len(seen) == 2 and set(seen) == {"h1", "h2"}, (changes.returncode, out, err)
    assert cloud.placement("shop")[0] == placed[-1]
    if placed[-1] != "h2":
        cloud.fcctl("place", "shop", "h2")
    cloud.fcctl("drain", "h2")
    assert cloud.placement("shop")[0] in ("h1", "h3")
    cloud.fcctl("undrain", "h2")
    listed = {json.loads(line)["name"] for line in cloud.fcctl("list", "host").stdout.splitlines()}
    assert listed == {"h1", "h2", "h3"}, listed
    assert json.loads(cloud.fcctl("ps").stdout.splitlines()[0])["container"] == "shop"
    interrupted = cloud.watch()
    cloud.apply({"keys": {"also.test": "shop"}})
    wait_until(lambda: cloud.fcctl("delete", "key", "also.test", check=False).returncode == 0, "it can be deleted")
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(timeout=20) == 0


def test_fcctl_carries_a_cmdb_around_all_stores():
    with Stores() as cloud:
        cloud.use("sqlite", "first")
        classes = {"key": "/fc/v1/c/apache", "value": {"v": 1, **cloud.apache_class()}}
        hosts = [{"key": f"/fc/v1/h/old{i}", "value": {"v": 1, "address": "10.77.0.250", "dispatcher_port": 7070,
                                                       "incarnation": 1, "admin": "down"}} for i in range(MANY)]
        cloud.fcctl("import", archive(cloud, "many", [classes, *hosts]))
        assert len(cloud.exported("read")) == MANY + 1
        for i in range(0, MANY, 100):
            cloud.fcctl("delete", "host", f"old{i}")
        ring = [("sqlite", "first"), ("etcd", "one"), ("postgresql", "one"), ("sqlite", "last")]
        for store, name in ring[1:]:
            kept = cloud.exported("carried")
            cloud.use(store, name)
            cloud.fcctl("import", cloud.path("carried"))
            assert cloud.exported("read") == kept, store
            refused = cloud.fcctl("import", cloud.path("carried"), check=False)
            assert refused.returncode == 1 and "--merge" in refused.stderr, refused.stderr
            cloud.fcctl("import", "--merge", cloud.path("carried"))
            assert cloud.exported("read") == kept, store
            cloud.fcctl("delete", "host", f"old{len(store)}")  # the next one gets something else


def test_fcctl_serves_operators_on_every_store():
    with Stores() as cloud:
        for store in ("sqlite", "etcd", "postgresql"):
            cloud.use(store, "day")
            cloud.apply({"classes": {"apache": cloud.apache_class()}})
            cloud.start()
            operate(cloud)
            cloud.stop()
            before = cloud.exported("before")
            _, epoch = cloud.placement("shop")
            cloud.fcctl("restored")
            _, raised = cloud.placement("shop")
            assert raised > epoch, (store, epoch, raised)
            count = [json.loads(line)["value"]["count"] for line in cloud.exported("after") if '"/fc/v1/restored"' in line]
            assert count == [1], count
            cloud.fcctl("import", "--replace", cloud.path("before"))
            _, replaced = cloud.placement("shop")
            assert replaced > raised, (store, raised, replaced)

            def rest(lines):
                return [line for line in lines if '"/fc/v1/p/' not in line and '"/fc/v1/restored"' not in line]
            assert rest(cloud.exported("after")) == rest(before), store


def test_fcctl_restores_a_backup_under_load():
    with Cloud(hosts=3) as cloud:
        for site in ("one", "two"):
            cloud.site(site)
            warm(cloud, site)
        cloud.fcctl("export", cloud.path("backup"))
        cloud.site("later")
        for site in ("one", "two"):
            before, _ = cloud.placement(site)
            cloud.fcctl("place", site, next(host for host in cloud.network.hosts if host != before))
            warm(cloud, site)
        moved, epoch = cloud.placement("one")
        loads = [OpenLoop(cloud, site, rate=100, seconds=8) for site in ("one", "two")]
        when_half_way(cloud, loads[0], 400)
        cloud.fcctl("import", "--replace", cloud.path("backup"))
        for load in loads:
            load.check()
        host, raised = cloud.placement("one")
        assert host != moved and raised > epoch, (moved, epoch, host, raised)
        wait_until(lambda: cloud.container_count() == 2, "the copies that moved back have ended", 40)
        wait_until(lambda: cloud.request("later.test").status == 404, "what the backup lacks is gone")


def test_fcctl_import_writes_nothing_of_a_file_with_a_mistake():
    with Cloud(hosts=0, start=False) as cloud:
        cloud.cmdb = "sqlite:" + cloud.path("empty.db")
        good = {"key": "/fc/v1/h/h1", "value": {"address": "10.0.0.1", "dispatcher_port": 7070}}
        cases = [([good, good], 3, "twice"), ([good, "{"], 3, "accepted"), ([good, {"key": 1, "value": {}}], 3, "accepted"),
                 ([good, {"key": "/fc/v1/l/h1", "value": {}}], 3, "lease"), ([good, {"key": "/other", "value": {}}], 3, "accepted"),
                 ([good, '{"key":"/fc/v1/h/h2","value":{"address":"10.0.0.2","address":"x"}}'], 3, "twice"),
                 ([good, {"key": "/fc/v1/h/h2", "value": {"address": "10.0.0.2", "dispatcher_port": 0}}], 3, "1 to 65535"),
                 ([good, {"key": "/fc/v1/k/00/A.test", "value": {"container": "x"}}], 3, "accepted"),
                 ([good, {**good, "more": 1}], 3, "accepted")]
        for records, line, text in cases:
            path = archive(cloud, "bad", records)
            refused = cloud.fcctl("import", path, check=False)
            assert refused.returncode == 2 and f"{path}:{line}: " in refused.stderr and text in refused.stderr, \
                (records, refused.returncode, refused.stderr)
        path = archive(cloud, "short", [good], announced=2)
        refused = cloud.fcctl("import", path, check=False)
        assert refused.returncode == 2 and "ends after 1 records" in refused.stderr, refused.stderr
        with open(cloud.path("header"), "w") as file:
            file.write('{"fastcontainer_export":2,"revision":1,"records":0}\n')
        refused = cloud.fcctl("import", cloud.path("header"), check=False)
        assert refused.returncode == 2 and ":1: " in refused.stderr and "accepted is 1" in refused.stderr, refused.stderr
        assert cloud.fcctl("import", cloud.path("absent"), check=False).returncode == 2
        cloud.fcctl("export", cloud.path("nothing"))
        assert len(cloud.read("nothing").splitlines()) == 1, cloud.read("nothing")
