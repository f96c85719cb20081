#!/usr/bin/env bash
# Installs what is missing, builds, and runs every ring of tests: all of them in the release preset, then unit, capi and sim
# under the sanitizers, and the proxy's deployment tests under the address sanitizer. --quick leaves out the deployment ring
# (network namespaces, real servers).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

quick=no
for argument in "$@"; do
  case "$argument" in
    --quick) quick=yes ;;
    -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) echo "$0: unknown option $argument (see --help)" >&2; exit 2 ;;
  esac
done

# Where ccache is used, two clones share what they compile.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

jobs="$(nproc)"
summary="$(mktemp)"
trap 'rm -f "$summary"' EXIT
failed=0

# run_ring PRESET RING [ctest argument...]: a ring without a test fails, too. What fails beside other tests is run
# once more alone and named in the summary: so a machine that was too busy is told from a defect. What a sanitizer has
# reported stays a failure.
run_ring() {
  local preset=$1 ring=$2 log
  shift 2
  log="$(mktemp)"
  echo "==== $preset: $ring"
  ctest --preset "$preset" --no-tests=error -j "$jobs" -L "^$ring\$" "$@" 2>&1 | tee "$log" || again "$preset" "$log"
  printf '%-12s %-12s %s\n' "$preset" "$ring" \
    "$(grep -E 'tests passed|No tests were found' "$log" | tail -n 1 || echo 'did not run')" >> "$summary"
  # Skipped is not passed: say which, and why (a skipped deployment test prints its reason).
  sed -n -e 's/^\s*[0-9]* - \(.*\) (Skipped)$/  skipped: \1/p' \
    -e 's/^\s*[0-9]* - \(.*\) (\(Failed\|Timeout\|.*[Ee]xception.*\|Not Run\))$/  \2: \1/p' "$log" >> "$summary"
  rm -f "$log"
}

again() {
  local preset=$1 log=$2
  if ! grep -q 'The following tests FAILED' "$log" || grep -qE '(Sanitizer:|runtime error:)' "$log"; then
    failed=1
    return
  fi
  echo "==== $preset: what failed, alone"
  if ctest --preset "$preset" -j 1 --rerun-failed 2>&1 | tee "$log.again"; then
    echo "  passed when run again alone:" >> "$summary"
  else
    failed=1
    echo "  failed again alone:" >> "$summary"
    sed -n 's/^\s*[0-9]* - \(.*\) (.*)$/    \1/p' "$log.again" | grep -v '(Skipped)' >> "$summary" || true
  fi
  rm -f "$log.again"
}

build() {
  local preset=$1
  shift
  echo "==== $preset: build"
  cmake --preset "$preset" "$@"
  cmake --build --preset "$preset" -j "$jobs"
}

cmake/install-packages.sh

build release
for ring in unit capi sim; do run_ring release "$ring"; done
for ring in package python; do
  [ ! -e "tests/$ring/CMakeLists.txt" ] || run_ring release "$ring"
done
[ "$quick" = yes ] || run_ring release deployment

build asan-ubsan
for ring in unit capi sim; do run_ring asan-ubsan "$ring"; done
[ "$quick" = yes ] || run_ring asan-ubsan sanitized
build tsan -DFASTCONTAINER_BUILD_EXAMPLES=OFF
for ring in unit capi sim; do run_ring tsan "$ring"; done

echo "==== summary"
cat "$summary"
exit "$failed"
