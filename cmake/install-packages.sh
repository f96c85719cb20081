#!/usr/bin/env bash
# Installs what is missing of debian-packages.txt (what Debian 12 needs to build, test and show this project), or of another list.
set -euo pipefail

list="${1:-$(dirname "$(readlink -f "$0")")/debian-packages.txt}"
missing=()
while read -r package; do
  status="$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)"
  [ "$status" = installed ] || missing+=("$package")
done < "$list"
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "These packages are missing, and neither root nor sudo is at hand: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing: ${missing[*]}"
# The packages' servers are not to be started as services: RUNLEVEL=1 says so to invoke-rc.d, the policy to deb-systemd-invoke.
if [ ! -e /usr/sbin/policy-rc.d ]; then
  trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin /usr/sbin/policy-rc.d
fi
"${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get update -q
"${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -q --no-install-recommends "${missing[@]}"

# Nor are they to be started at the next boot: the tests run them themselves.
disable() {
  [[ " ${missing[*]} " != *" $1 "* ]] || "${as_root[@]}" update-rc.d "$2" disable > /dev/null
}
disable etcd-server etcd
disable nginx-light nginx
disable postgresql-15 postgresql
disable haproxy haproxy
if [[ " ${missing[*]} " == *" caddy "* ]]; then
  "${as_root[@]}" deb-systemd-helper disable caddy.service > /dev/null
fi
# And the empty cluster that came with the package goes again.
if [[ " ${missing[*]} " == *" postgresql-15 "* ]] && pg_lsclusters -h | grep -q '^15 *main .*down'; then
  "${as_root[@]}" pg_dropcluster 15 main
fi
