#!/usr/bin/env bash
# Installs what is missing, builds, and runs the tests.
#
#   ./tests/run.sh                 the default run, preset dev
#   ./tests/run.sh --preset asan   another preset: asan, tsan
#   ./tests/run.sh --long          every sweep in its full length (hours), and the Debian package
#   ./tests/run.sh --filter REGEX  only the tests whose names match
#   ./tests/run.sh --fuzz SECONDS  then also each fuzzer for so long (tests/fuzz/run.sh)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=dev
ctest_args=()
fuzz_seconds=
while [ $# -gt 0 ]; do
  case $1 in
    --preset) preset=$2; shift 2 ;;
    --long) export LITEPULL_LONG=1; shift ;;
    --fuzz) fuzz_seconds=$2; shift 2 ;;
    --filter) ctest_args+=(-R "$2"); shift 2 ;;
    *) sed -n '2,/^set/p' "$0" | grep '^#' >&2; exit 2 ;;
  esac
done

./deploy/install-packages.sh test
# What hangs is ended after ten minutes; a sweep in its full length takes hours.
cmake --preset "$preset" -DLITEPULL_TEST_SECONDS="$([ "${LITEPULL_LONG-}" = 1 ] && echo 43200 || echo 600)"
cmake --build --preset "$preset"
ctest --preset "$preset" --no-tests=error "${ctest_args[@]}"
if [ "${LITEPULL_LONG-}" = 1 ] && [ ${#ctest_args[@]} -eq 0 ]; then
  ./tests/package_test.sh || [ $? -eq 77 ]
fi
[ -z "$fuzz_seconds" ] || ./tests/fuzz/run.sh --seconds "$fuzz_seconds"
