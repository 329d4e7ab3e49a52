#!/usr/bin/env bash
# What `cmake --install` puts below a prefix works from there, wherever that is: the client finds its agent in
# ../lib/litepull, also through a link.
#
#   install_test.sh BUILD-DIRECTORY
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --prefix "$work/prefix" >/dev/null
prefix=$work/prefix

missing=0
for file in bin/litepull "lib/litepull/litepull-agent-$(uname -m)" share/man/man1/litepull.1.gz share/man/man5/litepull-config.5.gz \
  share/bash-completion/completions/litepull share/fish/vendor_completions.d/litepull.fish share/doc/litepull/README.md; do
  [ -f "$prefix/$file" ] || { echo "FAILED: $file is not installed" >&2; missing=1; }
done
[ $missing -eq 0 ]

mkdir "$work/storage"
sqlite3 "$work/storage/main.sqlite3" 'CREATE TABLE t (a)'
printf '%s\n' APP_NAME=app TRANSPORT=local "REMOTE_BACKUP_DIR=$work/storage" "LOCAL_BACKUP_ROOT=$work/backups" >"$work/app.env"
ln -s "$prefix/bin/litepull" "$work/litepull"
"$work/litepull" backup "$work/app.env"

rm -r "$prefix/lib"
if message=$("$work/litepull" backup "$work/app.env" 2>&1); then
  echo "FAILED: there is no agent, and it said: $message" >&2
  exit 1
fi
case $message in
  *"$prefix/lib/litepull"*LITEPULL_AGENT*) ;;
  *) echo "FAILED: without an agent it said: $message" >&2; exit 1 ;;
esac
