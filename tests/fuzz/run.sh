#!/usr/bin/env bash
# Builds the fuzzers and runs them, one after the other; the first that finds something ends it.
#
#   ./tests/fuzz/run.sh [--seconds S | --runs N] [--keep] [TARGET...]
#
# Each of the targets (all, when none is named) runs for S seconds (10) or N executions, with address and
# undefined-behaviour sanitizers and below 256 MB of memory. Nothing is written into the tree but with
# --keep: then what reaches code that the corpus does not is added to it, as few inputs as will do.
# What a fuzzer finds is a file in build/fuzz/found; mend the defect, and add the file to tests/fuzz/corpus/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

limit=-max_total_time=10
keep=
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) limit=-max_total_time=$2; shift 2 ;;
    --runs) limit=-runs=$2; shift 2 ;;
    --keep) keep=1; shift ;;
    -*) sed -n '2,/^set/p' "$0" | grep '^#' >&2; exit 2 ;;
    *) break ;;
  esac
done

cmake --preset fuzz
cmake --build --preset fuzz
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls tests/fuzz/corpus)

# In memory where that is possible: the conversations write and sync files.
TMPDIR=$([ -w /dev/shm ] && mktemp -d -p /dev/shm litepull-fuzz-XXXXXX || mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
# What was freed is kept for a while to find its uses; 8 MB of it, since it counts as ours.
export ASAN_OPTIONS=quarantine_size_mb=8:malloc_context_size=4
mkdir -p build/fuzz/found

for target in "${targets[@]}"; do
  corpus=tests/fuzz/corpus/$target
  new=$TMPDIR/$target
  mkdir -p "$new"
  if ! "build/fuzz/bin/fuzz_$target" "$limit" -rss_limit_mb=256 -malloc_limit_mb=64 -timeout=10 \
    -print_final_stats=1 -artifact_prefix="build/fuzz/found/$target-" "$new" "$corpus" >"$TMPDIR/log" 2>&1; then
    cat "$TMPDIR/log" >&2
    echo "fuzz: $target: see above, and build/fuzz/found" >&2
    exit 1
  fi
  figure() { awk -v name="stat::$1:" '$1 == name { print $2 }' "$TMPDIR/log"; }
  echo "$target: $(figure number_of_executed_units) executions, $(figure peak_rss_mb) MB"
  [ -z "$keep" ] || "build/fuzz/bin/fuzz_$target" -merge=1 "$corpus" "$new" >/dev/null 2>&1
done
