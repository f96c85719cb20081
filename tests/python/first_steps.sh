# A new user's path: the wheel is built and installed into a fresh environment (NumPy is the system's), and the first
# lines of the README run there as they are, without the build tree: first_steps.sh PYTHON PACKAGE BUILD SCRATCH.
set -eu
rm -rf "$4"
mkdir -p "$4/elsewhere"
unset PYTHONPATH
"$1" -m venv --system-site-packages "$4/fresh"
FASTCONTAINER_BUILD="$3" "$4/fresh/bin/pip" wheel -q --no-index --disable-pip-version-check --no-cache-dir \
  --wheel-dir "$4/wheels" "$2"
"$4/fresh/bin/pip" install -q --no-index --disable-pip-version-check "$4"/wheels/fastcontainer-*.whl
sed -n '/^## First steps/,/^```$/p' "$2/README.md" | sed '1,/^```python/d;/^```/d' > "$4/elsewhere/first_steps.py"
cd "$4/elsewhere"
port="$("$4/fresh/bin/python" -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
sed -i "s/port=7070/port=$port/" first_steps.py
grep -q "port=$port" first_steps.py
echo 'assert fastcontainer.__file__.startswith("'"$4"'/fresh/"), fastcontainer.__file__' >> first_steps.py
"$4/fresh/bin/python" -W error first_steps.py > told 2> complaints || { cat complaints; exit 1; }
cat told complaints
[ ! -s complaints ]  # a policy that fails is logged
grep -qF "hello may run on ['h1']" told
grep -q "^h1 ('127.0.0.1', [0-9]*)$" told
