#!/usr/bin/env bash
# Has clang-tidy read the program's sources, each room as one unit, and fails on any finding. Settings: .clang-tidy
#
#   ./deploy/tidy.sh            agent, client and common
#   ./deploy/tidy.sh REGEX...   only the units whose path matches one of these
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$PWD/build/tidy

# clang cannot read GCC's precompiled headers.
cmake -S . -B "$build" -G Ninja -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DLITEPULL_BUILD_TESTS=OFF \
  -DLITEPULL_CROSS_AGENT=OFF >/dev/null

chosen=$(IFS='|'; echo "${*:-.}")
sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$build/compile_commands.json" | sort -u | grep -v '/sqlite3\.c$' |
  grep -E "$chosen" | xargs -r -P "$(nproc)" -n 1 clang-tidy -p "$build" --quiet --warnings-as-errors='*' \
  2> >(grep -v 'warnings\{0,1\} generated' >&2)
