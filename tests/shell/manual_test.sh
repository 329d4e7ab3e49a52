#!/usr/bin/env bash
# The manual pages render without a warning and name the commands, options and keys that there are, no more and
# no fewer.
#
#   manual_test.sh LITEPULL
set -euo pipefail
litepull=$1
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
. "$root/tests/shell/help.sh"
page=$root/deploy/man/litepull.1
config_page=$root/deploy/man/litepull-config.5

for tool in mandoc groff man; do
  command -v $tool >/dev/null || { echo "skipped: there is no $tool"; exit 77; }
done
for file in "$page" "$config_page"; do
  same "mandoc on $file" '' "$(mandoc -T lint -W warning "$file" 2>&1 || true)"
  same "groff on $file" '' "$(groff -ww -mandoc -Tutf8 "$file" 2>&1 >/dev/null)"
  same "man on $file" '' "$(man --warnings -l "$file" 2>&1 >/dev/null)"
done

# The options that the part of one command names: what follows an Fl macro.
described() {
  awk -v command="$1" '
    /^\.S[sh]/ { inside = $0 == ".Ss " command }
    inside { for (i = 1; i < NF; ++i) if ($i == "Fl" || $i == ".Fl") print "-" $(i + 1) }' "$page" |
    grep -vx -e '--' | LC_ALL=C sort -u
}

same "commands" "$(commands)" "$(sed -n 's/^\.Ss //p' "$page")"
for command in $(commands); do
  same "options of $command" "$(options_of "$command")" "$(described "$command")"
done
same "keys" "$(sed -n 's/^#\{0,1\}\([A-Z_]*\)=.*/\1/p' "$root/config/projects/example.env.sample" | sort -u)" \
  "$(sed -n 's/^\.It Ev //p' "$config_page" | sort -u)"
exit $failed
