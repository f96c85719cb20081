#!/usr/bin/env bash
# A host dies; what do users see? Installs and builds what is needed, runs the matrix (or what --proxy, --fault and --load
# select; see --help) and prints the table; README.md beside this says what it means. Needs root, for network
# namespaces. FASTCONTAINER_BIN names programs that are built already.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
export PYTHONDONTWRITEBYTECODE=1
case " $* " in *" --help "* | *" -h "*) exec /usr/bin/python3 benchmarks/survive/run.py --help ;; esac
cmake/install-packages.sh
cmake/install-packages.sh benchmarks/survive/debian-packages.txt
if [ -z "${FASTCONTAINER_BIN:-}" ]; then
  cmake --preset release > /dev/null
  cmake --build --preset release -j "$(nproc)" | tail -n 1
  export FASTCONTAINER_BIN="$PWD/build/release/bin"
fi
exec /usr/bin/python3 benchmarks/survive/run.py "$@"
