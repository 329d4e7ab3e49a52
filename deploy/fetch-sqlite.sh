#!/bin/sh
# Puts the pinned SQLite amalgamation (deploy/sqlite.pin) into the directory $1: sqlite3.c, sqlite3.h,
# sqlite3ext.h. Does nothing when they are there already. Fails, leaving nothing, when a checksum differs.
set -eu
target=${1:?usage: fetch-sqlite.sh DIRECTORY}
pin=$(dirname "$0")/sqlite.pin
read -r package version sha_c sha_h <<EOF
$(grep -v '^#' "$pin")
EOF

matches() { # matches DIRECTORY: are the pinned files in it?
  [ -f "$1/sqlite3ext.h" ] &&
    echo "$sha_c  $1/sqlite3.c" | sha256sum -c --quiet >/dev/null 2>&1 &&
    echo "$sha_h  $1/sqlite3.h" | sha256sum -c --quiet >/dev/null 2>&1
}

matches "$target" && exit 0
command -v npm >/dev/null || { echo "fetch-sqlite: npm is needed to fetch SQLite $version; install the package npm" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack "$package" --silent >/dev/null)
tar -xzf "$work"/*.tgz -C "$work" package/deps/sqlite3
if ! matches "$work/package/deps/sqlite3"; then
  echo "fetch-sqlite: the files in $package are not the pinned SQLite $version; nothing was kept" >&2
  exit 1
fi
mkdir -p "$target"
cp "$work"/package/deps/sqlite3/sqlite3.c "$work"/package/deps/sqlite3/sqlite3.h \
  "$work"/package/deps/sqlite3/sqlite3ext.h "$target"
