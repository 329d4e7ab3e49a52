#!/usr/bin/env bash
# What the script that people have leaves behind: rsync of the live files over SSH while a writer moves money
# between accounts, and how many of the copies are bad. A copy is bad when SQLite refuses it or finds it
# damaged, when money is missing or the ledger disagrees with its counter, or when a commit that was
# acknowledged before the copy began is not in it.
#
#   tests/bench/old_script.sh [--journal wal|delete|truncate|persist] [--rate TPS] [--copies N]
#                             [--accounts N] [BIN_DIR]
#
# BIN_DIR has bank_writer (default build/dev/bin). Ends with "N of 20 bad".
set -euo pipefail

repo=$(cd "$(dirname "$0")/../.." && pwd)
. "$repo/tests/support/private_sshd.sh"

journal=wal
copies=20
accounts=20000
rate=0  # as fast as it can
while [ $# -gt 0 ]; do
  case $1 in
    --journal) journal=$2; shift 2 ;;
    --copies) copies=$2; shift 2 ;;
    --accounts) accounts=$2; shift 2 ;;
    --rate) rate=$2; shift 2 ;;
    --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    -*) echo "old_script.sh: unknown option $1" >&2; exit 2 ;;
    *) break ;;
  esac
done
bin=${1:-$repo/build/dev/bin}
[ -x "$bin/bank_writer" ] || { echo "old_script.sh: $bin/bank_writer is not there" >&2; exit 2; }
for program in rsync ssh sqlite3; do
  command -v "$program" >/dev/null || { echo "old_script.sh: install $program" >&2; exit 2; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/litepull-old-XXXXXX")
writer=
stop_writer() { [ -z "$writer" ] || { kill "$writer" 2>/dev/null && wait "$writer" || true; }; }
trap 'stop_writer; stop_private_sshd; rm -rf "$work"' EXIT
storage=$work/storage
mkdir "$storage"
start_private_sshd "$work/sshd"

start_writer() {
  "$bin/bank_writer" "$storage/production.sqlite3" "$journal" --accounts "$accounts" --rate "$rate" \
    --ack "$work/ack" >"$work/writer.out" &
  writer=$!
  until grep -q ready "$work/writer.out"; do
    kill -0 "$writer" || { echo "old_script.sh: the writer ended" >&2; exit 1; }
    sleep 0.05
  done
}

acknowledged() { od -An -tu8 "$work/ack" | tr -d ' '; }

# rsync's 24 says that a file vanished while it looked, as a rollback journal does; the script took the copy.
# Any other failure is no finding about copies: it ends the run.
old_script() {  # DESTINATION
  local status=0
  rsync -az --include='*.sqlite3' --include='*.sqlite3-*' --exclude='*' \
    -e "ssh ${SSH_OPTIONS[*]}" "$SSH_USER@127.0.0.1:$storage/" "$1/" 2>"$work/rsync.err" || status=$?
  [ "$status" -eq 0 ] || [ "$status" -eq 24 ] || { cat "$work/rsync.err" >&2; exit 1; }
}

# Prints what is wrong with the copy, or nothing. SQLite rebuilds the -shm, as it does on a restore.
wrong_with() {  # DESTINATION COMMIT
  local found
  rm -f "$1"/*-shm
  found=$(sqlite3 "$1/production.sqlite3" "
    PRAGMA integrity_check(1);
    SELECT (SELECT sum(balance) FROM accounts) = 1000 * accounts, (SELECT count(*) FROM ledger) = counter,
           counter >= $2 FROM totals;" 2>&1) || true
  [ "$found" = $'ok\n1|1|1' ] || echo "$found" | tr '\n' ' '
}

take_copy() {  # sets `before`: the newest commit that was acknowledged before the copy began
  rm -rf "$work/copy"
  mkdir "$work/copy"
  before=$(acknowledged)
  old_script "$work/copy"
}

start_writer
bad=0
for ((copy = 1; copy <= copies; ++copy)); do
  sleep 0.2  # not twice into the same moment
  take_copy
  reason=$(wrong_with "$work/copy" "$before")
  [ -z "$reason" ] || bad=$((bad + 1))
  echo "copy $copy (commit $before acknowledged before): ${reason:-good}" >&2
done
# The control: with the writer gone the same copy is judged good, or the judge is wrong.
stop_writer
writer=
take_copy
reason=$(wrong_with "$work/copy" "$before")
[ -z "$reason" ] || { echo "old_script.sh: a copy at rest was judged bad: $reason" >&2; exit 1; }
echo "$bad of $copies bad ($journal, $(acknowledged) commits in all)"
