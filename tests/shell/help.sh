# Sourced by the tests of manual and completions: what the program's own --help names. $litepull is the program.

commands() { "$litepull" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p'; }

# All options of a command but --help, sorted, one a line.
options_of() {
  "$litepull" "$1" --help | awk '/^ +-/ { sub(/[{].*/, "", $1); print $1 }' | tr , '\n' |
    grep -vx -e -h -e --help | LC_ALL=C sort -u
}

failed=0
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failed=1
}

# same WHAT EXPECTED ACTUAL
same() {
  [ "$2" = "$3" ] || fail "$1"$'\n'"$(diff <(printf '%s\n' "$2") <(printf '%s\n' "$3"))"
}
