#!/usr/bin/env bash
# litepull beside what else could copy a database over SSH. In every round each way has its turn, with the file
# cache warm. Absolute times differ between machines; the ratios within one run are what counts.
#
#   tests/bench/run.sh [--rounds N] [--size BYTES] [--scenario LIST] [--link LIST] [--peers LIST]
#                      [--levels "L L ..."] [--tools DIR] [--json FILE] [BIN_DIR]
#
#   --rounds N       timed runs of each way (default 3; for the scenario `small` 10)
#   --size BYTES     size of the database (default 1003110400)
#   --scenario LIST  of full, nightly, unchanged, small (default all)
#                      full: into an empty destination
#                      nightly: the destination holds yesterday's copy, a night's changes were made since
#                      unchanged: the same, and nothing was changed since
#                      small: a database of 1 MB, into an empty destination
#   --link LIST      of loopback and rates: 1gbit,100mbit,20mbit (default loopback). A rate needs root, ip and tc
#   --peers LIST     of ssh-cat, rsync, rsync-z, sqlite3_rsync, backup-zstd, backup-scp, restic, borg, or
#                    none (default: what is in PATH, without backup-scp, which is slow)
#   --levels LIST    litepull at these compression levels, too, in the scenario `full`: --levels "0 1 3 6 9"
#   --tools DIR      has make_bench_db (default BIN_DIR, else build/dev/bin)
#   --json FILE      the figures of every run
#   BIN_DIR          has litepull and litepull-agent (default build/release/bin)
#
# A slow link takes its time: tests/bench/run.sh --link 100mbit,20mbit --size 100000000
# About ten times the size must be free under $TMPDIR, else /tmp; its name must hold no blanks.
set -euo pipefail
export LC_ALL=C  # for the decimal point
PATH=$PATH:/usr/sbin:/sbin

bench=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$bench/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../support/private_sshd.sh
. "$repo/tests/support/private_sshd.sh"
# shellcheck source=links.sh
. "$bench/links.sh"
# shellcheck source=ways.sh
. "$bench/ways.sh"
# shellcheck source=measure.sh
. "$bench/measure.sh"
# shellcheck source=table.sh
. "$bench/table.sh"

die() { echo "run.sh: $1" >&2; exit "${2:-1}"; }

rounds=
size=1003110400
scenarios=(full nightly unchanged small)
links=(loopback)
peers=()
peers_given=
levels=()
tools=
json=
while [ $# -gt 0 ]; do
  case $1 in
    --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    --rounds | --size | --scenario | --link | --peers | --levels | --tools | --json)
      [ $# -ge 2 ] || die "$1 needs a value" 2 ;;&
    --rounds) rounds=$2 ;;
    --size) size=$2 ;;
    --scenario) IFS=, read -ra scenarios <<<"$2" ;;
    --link) IFS=, read -ra links <<<"$2" ;;
    --peers) IFS=, read -ra peers <<<"$2"; peers_given=yes ;;
    --levels) IFS=', ' read -ra levels <<<"$2" ;;
    --tools) tools=$2 ;;
    --json) json=$2 ;;
    -*) die "unknown option $1" 2 ;;
    *) break ;;
  esac
  shift 2
done
[ $# -le 1 ] || die "what is $2?" 2
bin=${1:-$repo/build/release/bin}
[ -n "$tools" ] || tools=$bin
[ -x "$tools/make_bench_db" ] || tools=$repo/build/dev/bin

require_options() {
  local word
  for word in "${rounds:-1}" "$size"; do
    [[ $word =~ ^[1-9][0-9]*$ ]] || die "$word is no number of rounds or bytes" 2
  done
  for word in "${scenarios[@]}"; do
    case $word in full | nightly | unchanged | small) ;; *) die "no scenario $word" 2 ;; esac
  done
  for word in "${links[@]}"; do
    [ "$word" = loopback ] || [[ $word =~ ^[1-9][0-9]*[kmg]bit$ ]] || die "no link $word" 2
    [ "$word" = loopback ] || can_make_links || die "the link $word needs root, ip netns, nsenter and tc" 2
  done
  for word in "${levels[@]}"; do
    [[ $word =~ ^-?[0-9]+$ ]] || die "no compression level $word" 2
  done
  for word in "$bin/litepull" "$bin/litepull-agent" "$tools/make_bench_db"; do
    [ -x "$word" ] || die "$word is not there" 2
  done
}

holds() { [[ " ${*:2} " == *" $1 "* ]]; }  # WORD LIST...

require_options
choose_ways
[ -z "$json" ] || : >"$json"

clean_up() {
  end_sessions
  close_link
  rm -rf "$work"
}
work=$(mktemp -d "${TMPDIR:-/tmp}/litepull-bench-XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

storage=$work/storage              # on the server; a link to the source that is in use
source_db=$storage/bench.sqlite3
server_copy=$work/server-copy.sqlite3  # of the ways that make one there
destination=$work/destination      # on the client, with what a way has made or starts from
runs=$work/runs.tsv
mkdir -p "$work/source/small" "$work/source/yesterday" "$work/source/today"
mkfifo "$work/pause"

needs_yesterday() { holds nightly "${scenarios[@]}" || holds unchanged "${scenarios[@]}"; }

source_of() {  # SCENARIO
  case $1 in
    small) echo small ;;
    nightly) echo today ;;
    *) echo yesterday ;;
  esac
}

state_of() {  # SCENARIO
  case $1 in
    nightly | unchanged) echo yesterday ;;
    *) echo empty ;;
  esac
}

make_sources() {
  "$tools/make_bench_db" "$work/source/small/bench.sqlite3" 1000000 >/dev/null
  "$tools/make_bench_db" "$work/source/yesterday/bench.sqlite3" "$size" >/dev/null
  sleep 2.1  # as no pull takes it for unchanged sooner
  holds nightly "${scenarios[@]}" || return 0
  # With another time of change: rsync skips a file whose size and time are the same.
  cp "$work/source/yesterday/bench.sqlite3" "$work/source/today/"
  "$tools/make_bench_db" --change "$work/source/today/bench.sqlite3"
}

# Not a copy: another file would not be unchanged.
use_source() { ln -sfn "source/$1" "$storage"; }

# Everything that a link's runs start from. litepull's state is made anew over every link, as a snapshot says
# which server it came from. At full speed: the limit comes after.
prepare_link() {  # LINK
  open_link "$1"
  write_client_files
  use_source small
  restore_state empty litepull
  run_untimed litepull  # uploads the agent
  ! needs_yesterday || pull_yesterday
  limit_link "$1"
}

pull_yesterday() {
  use_source yesterday
  restore_state empty litepull
  run_untimed litepull-verified
  keep_state yesterday litepull
}

rounds_of() {  # SCENARIO
  if [ "$1" = small ]; then echo "${rounds:-10}"; else echo "${rounds:-3}"; fi
}

measure_scenario() {  # LINK SCENARIO
  local round way
  use_source "$(source_of "$2")"
  for ((round = 1; round <= $(rounds_of "$2"); ++round)); do
    for way in $(ways_of "$2"); do measure_way "$1" "$2" "$way" "$round"; done
  done
}

# Memory, and the bytes on the loopback link, in one more run of each way: looking costs time. Over a link of
# its own where one can be made, as only there the two directions can be told apart whatever the tool.
observe() {
  local scenario way
  if can_make_links; then prepare_link unlimited; else prepare_link loopback; fi
  for scenario in "${scenarios[@]}"; do
    use_source "$(source_of "$scenario")"
    for way in $(ways_of "$scenario"); do measure_way loopback "$scenario" "$way" 0; done
  done
  close_link
}

echo "making databases" >&2
make_sources
prepare_states
for link in "${links[@]}"; do
  prepare_link "$link"
  for scenario in "${scenarios[@]}"; do measure_scenario "$link" "$scenario"; done
  close_link
done
! holds loopback "${links[@]}" || observe

print_report
[ -z "$json" ] || print_json >"$json"
