#!/usr/bin/env bash
# A full pull of one database over SSH on this machine, beside what else could copy it: every round runs each
# way once, into an empty destination, with the file cache warm. Absolute times differ between machines; the
# ratios within one run are what counts.
#
#   tests/bench/full_pull.sh [--rounds N] [--tools DIR] [BIN_DIR [SIZE_BYTES]]
#
# BIN_DIR has litepull and litepull-agent (default build/release/bin), --tools has make_bench_db (default:
# BIN_DIR, else build/dev/bin). SIZE_BYTES defaults to 1003110400; about three times that must be free under
# $TMPDIR, else /tmp. sqlite3_rsync takes part when it is in PATH.
set -euo pipefail

repo=$(cd "$(dirname "$0")/../.." && pwd)
. "$repo/tests/support/private_sshd.sh"

rounds=3
tools=
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=$2; shift 2 ;;
    --tools) tools=$2; shift 2 ;;
    --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    -*) echo "full_pull.sh: unknown option $1" >&2; exit 2 ;;
    *) break ;;
  esac
done
bin=${1:-$repo/build/release/bin}
size=${2:-1003110400}
[ -n "$tools" ] || tools=$bin
[ -x "$tools/make_bench_db" ] || tools=$repo/build/dev/bin
for program in "$bin/litepull" "$bin/litepull-agent" "$tools/make_bench_db"; do
  [ -x "$program" ] || { echo "full_pull.sh: $program is not there" >&2; exit 2; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/litepull-bench-XXXXXX")
trap 'stop_private_sshd; rm -rf "$work"' EXIT
storage=$work/storage
destination=$work/destination
source_db=$storage/bench.sqlite3
config=$work/bench.env
mkdir "$storage"
"$tools/make_bench_db" "$source_db" "$size"
start_private_sshd "$work/sshd"
ssh_command="ssh ${SSH_OPTIONS[*]}"  # for -e; holds no blanks within a word, as TMPDIR has none
cat >"$config" <<CONFIG
APP_NAME=bench
LOCAL_BACKUP_ROOT=$destination
SERVER_USER=$SSH_USER
SERVER_HOST=127.0.0.1
SERVER_PORT=$SSHD_PORT
SSH_KEY=$SSH_KEY
SSH_KNOWN_HOSTS=$SSH_KNOWN_HOSTS
REMOTE_BACKUP_DIR=$storage
CONFIG

run_way() {
  case $1 in
    "litepull, verified") "$bin/litepull" backup "$config" --quiet ;;
    "litepull, --verify=none") "$bin/litepull" backup "$config" --verify=none --quiet ;;
    "rsync -a") rsync -a -e "$ssh_command" "$SSH_USER@127.0.0.1:$source_db" "$destination/" ;;
    "rsync -az") rsync -az -e "$ssh_command" "$SSH_USER@127.0.0.1:$source_db" "$destination/" ;;
    "ssh cat") "${SSH[@]}" "cat '$source_db'" >"$destination/bench.sqlite3" ;;
    "sqlite3_rsync")
      sqlite3_rsync --ssh "$work/ssh" "$SSH_USER@127.0.0.1:$source_db" "$destination/bench.sqlite3" ;;
  esac
}

ways=("ssh cat" "litepull, --verify=none" "litepull, verified" "rsync -a" "rsync -az")
if command -v sqlite3_rsync >/dev/null; then
  ways+=("sqlite3_rsync")
  printf '#!/bin/sh\nexec %s "$@"\n' "$ssh_command" >"$work/ssh"
  chmod 700 "$work/ssh"
fi

empty_destination() {
  rm -rf "$destination"
  mkdir -m 700 "$destination"
  sync  # the last way's dirty pages are not this way's work
}

# The copy must be there and of the source's size: a way that fails fast is not fast.
require_copy() {
  local copy
  copy=$(find "$destination" -name bench.sqlite3 -type f)
  [ -n "$copy" ] && [ "$(stat -c %s "$copy")" -eq "$(stat -c %s "$source_db")" ] ||
    { echo "full_pull.sh: '$1' left no whole copy" >&2; exit 1; }
}

milliseconds() { echo "$((${EPOCHREALTIME/[.,]/} / 1000))"; }

median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }

declare -A times
measure_round() {
  local way start
  for way in "${ways[@]}"; do
    empty_destination
    start=$(milliseconds)
    run_way "$way"
    times[$way]+=" $(($(milliseconds) - start))"
    require_copy "$way"
  done
}

# The peak memory of the agent, in a run of its own since looking costs time. Every process whose program is in
# the server's cache is an agent; the shell's -ef compares files without starting a process.
sample_agent_memory() {
  local pid field value unit status process peak=0 anonymous=0
  empty_destination
  run_way "litepull, --verify=none" &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    for process in /proc/[0-9]*; do
      [ "$process/exe" -ef "$agent" ] || continue
      while read -r field value unit; do
        case $field in
          VmHWM:) [ "$value" -le "$peak" ] || peak=$value ;;
          RssAnon:) [ "$value" -le "$anonymous" ] || anonymous=$value ;;
        esac
      done <"$process/status" || true
    done 2>/dev/null
    read -rt 0.02 <>"$work/pause" || true  # a pause without a process
  done
  wait "$pid"
  agent_peak_kib=$peak agent_anonymous_kib=$anonymous
}

cat "$source_db" >/dev/null
empty_destination
run_way "litepull, --verify=none"  # uploads the agent
agent=$(find "$REMOTE_CACHE" -type f -perm -u+x -size +100k | head -n 1)
mkfifo "$work/pause"
for ((round = 1; round <= rounds; ++round)); do
  echo "round $round of $rounds" >&2
  measure_round
done
sample_agent_memory

# The agent ran from a file that may have been cached elsewhere: then there is no figure, and it says so.
echo
echo "full pull of $(stat -c %s "$source_db") bytes, median of $rounds rounds, $(nproc) cores"
# shellcheck disable=SC2086  # a list of numbers
base=$(median ${times["ssh cat"]})
printf '%-26s %9s %14s   %s\n' way seconds 'of ssh cat' 'all rounds, ms'
for way in "${ways[@]}"; do
  # shellcheck disable=SC2086  # a list of numbers
  ms=$(median ${times[$way]})
  printf '%-26s %5d.%03d %10d.%02d x  %s\n' "$way" $((ms / 1000)) $((ms % 1000)) $((ms / base)) \
    $((ms * 100 / base % 100)) "${times[$way]}"
done
echo "agent: $(stat -c %s "$bin/litepull-agent") bytes on disk; peak resident ${agent_peak_kib} KiB, of which" \
  "at most ${agent_anonymous_kib} KiB anonymous (0: not seen)"
