# A wheel of the build tree, installed into an environment of its own without network, and used from elsewhere:
# wheel.sh PYTHON PACKAGE BUILD SCRATCH.
set -eu
rm -rf "$4"
"$1" -m venv "$4/clean"
FASTCONTAINER_BUILD="$3" "$4/clean/bin/pip" install -q --no-index --disable-pip-version-check --no-cache-dir "$2"
mkdir "$4/elsewhere"
cd "$4/elsewhere"
unset PYTHONPATH
"$4/clean/bin/python" -W error - "$4" << 'END'
import asyncio
import os
import subprocess
import sys

import fastcontainer as fc

assert fc.__file__.startswith(sys.argv[1]), fc.__file__
folder = os.path.dirname(fc.__file__)
assert os.path.exists(os.path.join(folder, "py.typed"))
with open("/proc/self/maps") as maps:
    used = {line.split()[-1] for line in maps if "libfastcontainer" in line}
assert all(path.startswith(folder) for path in used) and used, used


async def main():
    async with fc.Engine("sqlite:" + os.path.join(sys.argv[1], "cmdb.db")) as engine:
        revision = await engine.cmdb.put("/a", "b")
        assert await engine.cmdb.get("/a") == fc.Record("/a", "b", revision)
        try:
            await engine.route("nobody.test")
        except fc.UnknownKey:
            pass


asyncio.run(main())
for scheme in ("etcd", "postgresql"):
    if os.path.exists(os.path.join(folder, "fastcontainer", f"libfastcontainer-cmdb-{scheme}.so")):
        fc.Engine(f"{scheme}://127.0.0.1:1/" + ("x" if scheme == "postgresql" else "")).close()
files = subprocess.run([sys.executable, "-m", "pip", "show", "-f", "fastcontainer"], check=True, text=True,
                       stdout=subprocess.PIPE).stdout
assert "fastcontainer/libfastcontainer.so" in files, files
END
"$4/clean/bin/pip" uninstall -q -y fastcontainer
[ -z "$(ls "$4"/clean/lib/python3*/site-packages | grep -i fastcontainer)" ]
