#!/usr/bin/env bash
# A small cloud on this machine: a proxy, three hosts, and a web server (Apache with PHP) that survives its host.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: quickstart.sh [--seconds N] [--rate R] [--loopback]
  --seconds N   how long the load lasts (20); its host is cut off half way
  --rate R      requests a second (500), sent on schedule whether or not earlier ones were answered
  --loopback    no network namespaces: hosts are loopback addresses, and are stopped instead of cut off
TEXT
}

seconds=20 rate=500 mode=namespaces
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds="${2:?}"; shift 2 ;;
    --rate) rate="${2:?}"; shift 2 ;;
    --loopback) mode=loopback; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
done
[[ "$seconds" =~ ^[0-9]+$ && "$seconds" -ge 4 && "$rate" =~ ^[0-9]+$ && "$rate" -ge 1 ]] ||
  { echo "--seconds must be a number of at least 4, --rate of at least 1" >&2; exit 2; }

root="$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)"
self="$root/examples/quickstart.sh"
bin="$root/build/release/bin"
export PATH="$PATH:/usr/sbin:/sbin"
hosts=(h1 h2 h3)

build() {
  "$root/cmake/install-packages.sh"
  echo "Building (build/release) ..."
  local log="$root/build/quickstart.log"
  mkdir -p "$root/build"
  (cd "$root" && cmake --preset release &&
    cmake --build --preset release --target fc-proxy fc-dispatcher fcctl openloop) > "$log" 2>&1 ||
    { tail -n 40 "$log" >&2; echo "The build failed; all of its output is in $log." >&2; exit 1; }
}

# Network namespaces need root, or a user namespace in which we are root.
choose_mode() {
  [ "$mode" = namespaces ] || return 0
  local try="fcq$$-try"
  if ip netns add "$try" 2>/dev/null; then
    ip netns del "$try"
  elif [ -z "${QUICKSTART_NESTED:-}" ] && unshare --user --map-root-user --net --mount true 2>/dev/null; then
    exec env QUICKSTART_NESTED=1 unshare --user --map-root-user --net --mount -- sh -c \
      'mount -t tmpfs tmpfs /run && mkdir /run/netns && exec "$@"' sh "$self" --seconds "$seconds" --rate "$rate"
  else
    mode=loopback
    echo "Not possible here: network namespaces (they need root, or user namespaces)."
    echo "Instead: the hosts are loopback addresses, and the host is stopped (SIGSTOP), not cut off."
  fi
}

pids=()       # what this script started outside of its namespaces
namespaces=() # what this script made
cleanup() {
  trap - EXIT
  local pid name
  [ "$mode" != loopback ] || mapfile -t -O "${#pids[@]}" pids < <(loopback_containers "")
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  for name in "${namespaces[@]}"; do
    while pid="$(ip netns pids "$name" 2>/dev/null)" && [ -n "$pid" ]; do
      # shellcheck disable=SC2086
      kill -KILL $pid 2>/dev/null || true
      sleep 0.05
    done
    ip netns del "$name" 2>/dev/null || true
  done
  [ -z "${work:-}" ] || rm -rf "$work"
}

# The containers of a host (of all hosts, if ""): they carry the run's own folder in their environment.
loopback_containers() {
  local address=$1 environment
  for environment in /proc/[0-9]*/environ; do
    if grep -qzx "RUN=$work/run" "$environment" && grep -qz "^ADDRESS=$address" "$environment"; then
      environment="${environment#/proc/}"
      echo "${environment%/environ}"
    fi 2>/dev/null
  done
}

add_namespace() {  # NAME PORT ADDRESS
  ip netns add "$1"
  namespaces+=("$1")
  ip -n "$1" link set lo up
  [ -n "${2:-}" ] || return 0
  ip -n "$bridge" link add "$2" type veth peer name eth0 netns "$1"
  ip -n "$bridge" link set "$2" master br0 up
  ip -n "$1" address add "$3/24" dev eth0
  ip -n "$1" link set eth0 up
  inside "$1" sysctl -qw "net.ipv4.ping_group_range=0 0"
}

inside() {  # NAME COMMAND...: `ip netns exec` would hide the cgroups
  local enter=(nsenter --net="/run/netns/$1")
  [ "$mode" = namespaces ] || enter=()
  shift
  "${enter[@]}" "$@"
}

spawn() {  # LOG NAME COMMAND...: sets `spawned` to the program's own process
  local log=$1 enter=(nsenter --net="/run/netns/$2")
  [ "$mode" = namespaces ] || enter=()
  shift 2
  "${enter[@]}" "$@" > "$work/$log.out" 2> "$work/$log.log" &
  spawned=$!
  disown
  pids+=("$spawned")
}

make_network() {
  declare -gA address space
  local i
  proxy="fcq$$-proxy" bridge="fcq$$-bridge"
  for i in 1 2 3; do
    space[h$i]="fcq$$-h$i"
    address[h$i]="10.77.0.1$i"
    [ "$mode" = namespaces ] || address[h$i]="127.0.1.$i"
  done
  [ "$mode" = namespaces ] || return 0
  add_namespace "$bridge"
  ip -n "$bridge" link add br0 type bridge forward_delay 0
  ip -n "$bridge" link set br0 up
  add_namespace "$proxy" proxy 10.77.0.1
  for i in 1 2 3; do add_namespace "${space[h$i]}" "h$i" "${address[h$i]}"; done
}

write_files() {
  mkdir -p "$work/run" "$work/site"
  chmod 755 "$work"
  touch "$work/run/starts"
  cp "$root"/examples/website/* "$work/site/"
  (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$work/cluster.key" && echo >> "$work/cluster.key")
  local module
  module="$(printf '%s\n' /usr/lib/apache2/modules/libphp*.so | tail -n 1)"
  cat > "$work/records.json" <<JSON
{"specs": {"site": {"command": ["$work/site/container.sh"], "ready": {"http": "/"},
   "environment": {"RUN": "$work/run", "SITE": "$work/site", "CONF": "$work/site/apache.conf", "START_DELAY": "",
                   "PHP_MODULE": "$module", "NESTED_USER": "${QUICKSTART_NESTED:-}", "PATH": "$PATH"}}},
 "keys": {"example.test": "site"}}
JSON
  cat > "$work/proxy.json" <<JSON
{"listen": "127.0.0.1:8088", "admin": "127.0.0.1:8089", "cmdb": "$cmdb", "cluster_key_file": "$work/cluster.key",
 "log": {"path": "$work/requests.log"}}
JSON
  local host
  for host in "${hosts[@]}"; do
    cat > "$work/$host.json" <<JSON
{"host": "$host", "cmdb": "$cmdb", "address": "${address[$host]}", "bind": "${address[$host]}",
 "state_directory": "$work/state-$host", "cluster_key_file": "$work/cluster.key"}
JSON
  done
}

start_all() {
  local host
  fcctl apply "$work/records.json" > /dev/null
  for host in "${hosts[@]}"; do
    mkdir -p "$work/state-$host"
    spawn "$host" "${space[$host]}" "$bin/fc-dispatcher" --config "$work/$host.json"
    daemon[$host]=$spawned
  done
  for host in "${hosts[@]}"; do wait_for "$host" grep -q '^ready' "$work/$host.out"; done
  spawn proxy "$proxy" "$bin/fc-proxy" --config "$work/proxy.json"
  wait_for proxy inside "$proxy" curl -sf -o /dev/null http://127.0.0.1:8089/healthz
}

wait_for() {  # NAME CONDITION...
  local name=$1 i
  shift
  for i in $(seq 200); do
    ! "$@" 2>/dev/null || return 0
    sleep 0.05
  done
  echo "$name did not start:" >&2
  tail -n 20 "$work/$name.log" >&2
  exit 1
}

fcctl() { inside "$proxy" "$bin/fcctl" --cmdb "$cmdb" --cluster-key "$work/cluster.key" "$@"; }

where() { fcctl ps --json | sed -n 's/.*"container":"site".*"host":"\([^"]*\)".*/\1/p'; }

cut_off() {
  local host=$1
  if [ "$mode" = namespaces ]; then
    inside "${space[$host]}" nft -f - <<'NFT'
table inet cut {
  chain input { type filter hook input priority -300; policy drop; iif lo accept
  }
  chain output { type filter hook output priority -300; policy drop; oif lo accept
  }
}
NFT
  else
    local pid
    for pid in "${daemon[$host]}" $(loopback_containers "${address[$host]}"); do kill -STOP "$pid"; done
  fi
}

show_load() {
  local second requests failures mean max half=$((seconds / 2)) host
  printf '%6s %9s %9s %10s %10s   %s\n' second requests failures "mean ms" "max ms" container
  spawn load "$proxy" "$bin/openloop" --live --rate "$rate" --seconds "$seconds" --host example.test \
    http://127.0.0.1:8088/
  tail -n +1 -s 0.05 -f --pid="$spawned" "$work/load.out" | while read -r second requests failures mean max; do
    [[ "$second" =~ ^[0-9]+$ ]] || continue
    host="$(where)"
    printf '%6s %9s %9s %10s %10s   on %s (%s)\n' "$second" "$requests" "$failures" "$mean" "$max" "$host" "${address[$host]}"
    if [ "$second" -eq "$half" ]; then
      sleep 0.5  # in the middle of a second, in the middle of the load
      host="$(where)"
      echo "$host" > "$work/cut"
      cut_off "$host"
      echo "       ---- $host is cut off: $([ "$mode" = namespaces ] && echo 'its packets are dropped' ||
        echo 'everything on it is stopped') ----"
    fi
  done
}

summary() {
  python3 - "$work/load.out" "$work/requests.log" "$(cat "$work/cut")" <<'PYTHON'
import json, sys
total = json.loads(open(sys.argv[1]).read().splitlines()[-1])
lines = [json.loads(line) for line in open(sys.argv[2]) if line.startswith("{")]
moved = [line for line in lines if line["reason"] == "relocated" and line["host"] != sys.argv[3]]
print(f"\n{total['requests']} requests, {total['failures']} failed; the longest took {total['max_ms']:.1f} ms, "
      f"half of them at most {total['p50_ms']:.2f} ms.")
for outcome, count in total["outcomes"].items():
    if not outcome.startswith("2"):
        print(f"  {count} x {outcome}")
if moved:
    first = max(moved, key=lambda line: line["total_us"])
    print(f"{len(moved)} requests waited for the relocation from {sys.argv[3]} to {first['host']}; the longest of them:")
    for name, field in (("host judged lost", "probe_us"), ("new host written to the CMDB", "swap_us"),
                        ("container started there", "start_us"), ("all in all, with the answer", "total_us")):
        print(f"  {name:30} {first[field] / 1000:8.1f} ms")
sys.exit(0 if total["failures"] == 0 and moved else 1)
PYTHON
}

[ -n "${QUICKSTART_NESTED:-}" ] || build
choose_mode
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
work="$(mktemp -d "${TMPDIR:-/tmp}/fc-quickstart.XXXXXX")"
cmdb="sqlite:$work/cmdb.db"
declare -A daemon
make_network
write_files
start_all

echo "A proxy and three hosts (${hosts[*]}) are running. The first request starts the container:"
inside "$proxy" curl -sS -H 'Host: example.test' http://127.0.0.1:8088/
show_load
summary
