#!/usr/bin/env bash
# Installs those packages of deploy/packages.txt that are missing: with `build` the ones that building needs,
# with `cross` also those for the agent of the other architecture, with `test` all of them. Asks for sudo only when something is missing and this is not root.
set -euo pipefail
kind=${1:?usage: install-packages.sh build|cross|test}
list=$(dirname "${BASH_SOURCE[0]}")/packages.txt

wanted=$(awk -v kind="$kind" '!/^#/ && ($2 == "build" || $2 == kind || kind == "test") { print $1 }' "$list")
missing=()
for package in $wanted; do
  # npm is often there without being Debian's, and then the two exclude each other.
  if [ "$package" = npm ] && command -v npm >/dev/null; then continue; fi
  dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "install-packages: this is not Debian; install by hand: ${missing[*]}" >&2
  exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing: ${missing[*]}"
# A package of another architecture (name:arch) can be had once dpkg knows of that one.
for package in "${missing[@]}"; do
  [ "$package" = "${package%:*}" ] || "${as_root[@]}" dpkg --add-architecture "${package#*:}"
done
"${as_root[@]}" apt-get update -q
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"
