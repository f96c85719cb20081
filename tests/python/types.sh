# The package's own code and its stub, as a type checker sees them: types.sh PYTHON PACKAGE SCRATCH.
set -eu
cd "$3"
"$1" -m mypy --strict --cache-dir "$3/mypy" "$2"
MYPYPATH="$(dirname "$2")" MYPY_CACHE_DIR="$3/stubtest" "$1" -W default -m mypy.stubtest --concise \
  --ignore-missing-stub fastcontainer._core
