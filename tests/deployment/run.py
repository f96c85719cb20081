"""Runs one deployment test by its name: run.py R03_host_dropped_mid_load. Exit status 77: it could not be run here."""
import os
import shutil
import signal
import subprocess
import sys
import traceback

import netns

SKIPPED = 77
SECONDS = int(os.environ.get("FASTCONTAINER_TEST_SECONDS", "170"))  # before ctest's own limit, so that all is cleaned up
TOOLS = ("etcd", "etcdctl", "ip", "nft", "bridge", "nsenter", "sysctl", "ss", "apache2", "ab", "wrk", "curl", "ping",
         "mariadbd", "crun", "busybox")


def find(name):
    import bad_input
    import conformance
    import crowds
    import etcd
    import fcprobe
    import first_light
    import forged
    import keys
    import late_path
    import life
    import messages
    import orchestrator
    import orchestrator_sets
    import orchestrator_maintenance
    import orchestrator_events
    import orchestrator_policy
    import peers
    import request_path
    import restores
    import restart
    import runtime_crun
    import single
    import stores
    import tunnels
    import wordpress
    for module in (request_path, life, first_light, bad_input, late_path, forged, fcprobe, peers, etcd, single,
                   stores, keys, wordpress, tunnels, messages, crowds, conformance, restores, restart,
                   orchestrator, orchestrator_sets, orchestrator_maintenance, orchestrator_events, orchestrator_policy, runtime_crun):
        if hasattr(module, "test_" + name):
            return getattr(module, "test_" + name)
    sys.exit(f"there is no test {name}")


def enter_user_namespace():
    """Without root: once more as the root of a user namespace of our own."""
    script = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--",
               "sh", "-c", script, "sh", sys.executable, *sys.argv]
    result = subprocess.run(["unshare", "--user", "--map-root-user", "--net", "--mount", "true"], check=False,
                            stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        skip(f"not root, and no user namespace may be made here ({result.stderr.strip()})")
    os.execvpe("unshare", command, {**os.environ, "FASTCONTAINER_NESTED": "1"})


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def can_make_namespaces():
    probe = f"fct{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", probe], check=False, stderr=subprocess.PIPE).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", probe], check=False)
    return made


def give_up(_signal, _frame):
    raise TimeoutError(f"the test took more than {SECONDS} s")


def main():
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        skip(f"not installed: {' '.join(missing)} (see cmake/debian-packages.txt)")
    if not can_make_namespaces():
        if os.environ.get("FASTCONTAINER_NESTED"):
            skip("network namespaces cannot be made, not even in a user namespace")
        enter_user_namespace()
    netns.delete_stale()
    test = find(sys.argv[1])
    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, give_up)
    signal.alarm(SECONDS)
    try:
        test()
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
