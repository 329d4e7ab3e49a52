#!/usr/bin/env bash
# What bash, zsh and fish offer for a litepull command line: all commands and all options of each, no others,
# configuration files, and the snapshots that there are.
#
#   completion_test.sh LITEPULL
set -euo pipefail
litepull=$(realpath "$1")
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
. "$root/tests/shell/help.sh"
completions=$root/deploy/completions
for shell in zsh fish; do
  command -v $shell >/dev/null || { echo "skipped: there is no $shell"; exit 77; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$(dirname "$litepull"):$PATH
export HOME=$work
mkdir -p "$work/config/projects" "$work/storage" "$work/bin"
cd "$work"
sqlite3 storage/main.sqlite3 'CREATE TABLE t (a)'
config=config/projects/billing.env
printf '%s\n' APP_NAME=billing TRANSPORT=local "REMOTE_BACKUP_DIR=$work/storage" "LOCAL_BACKUP_ROOT=$work/backups" >$config
litepull backup --quiet --label before-x $config
snapshot=$(basename backups/billing/2*)

# Each of these prints what one shell offers in place of the last of its arguments, sorted, one a line.
bash_offers() {
  bash --norc -c '
    . "$1"; shift
    COMP_WORDS=(litepull "$@") COMP_CWORD=$#
    _litepull
    printf "%s\n" "${COMPREPLY[@]}"' bash "$completions/litepull.bash" "$@" | sort -u
}
zsh_offers() {
  zsh -f -c '
    show() { print -rl -- ${(M)@:#$PREFIX*} }
    # The parts of the completion system that the function calls, reduced to printing.
    _describe() { [[ $1 != -V ]] || shift; show ${${(P)2}%%:*} }
    compadd() {
      case $1 in -f) show ${(P)3} ;; *) show "$@" ;; esac
    }
    compset() { PREFIX=${PREFIX#*=} }
    _files() { case $1 in -g) show ${~2}(N) ;; esac }
    file=$1; shift
    words=(litepull "$@") CURRENT=$(( $# + 1 )) PREFIX=$@[-1]
    . $file' zsh "$completions/_litepull" "$@" | sort -u
}
fish_offers() {
  local line="litepull$(printf ' %s' "$@")"
  fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$completions/litepull.fish" "$line" | cut -f1 | sort -u
}

for shell in bash zsh fish; do
  offers=${shell}_offers
  same "$shell: commands" "$(commands | sort)" "$($offers '' | grep -v '^-')"
  # Of zsh and fish, which take longer to start, those with options of every form.
  chosen='backup restore'
  [ $shell != bash ] || chosen=$(commands)
  for command in $chosen; do
    same "$shell: options of $command" "$(options_of "$command" | sort)" \
      "$($offers "$command" - | grep -vx -e -h -e --help)"
  done
  same "$shell: a command's beginning" "$(printf '%s\n' unpin)" "$($offers un)"
  $offers backup config/projects/ | grep -qx $config || fail "$shell: the configuration is not offered"
  $offers backup '' | grep -qx $config || fail "$shell: the configuration is not offered unasked"
  $offers backup bil | grep -qx billing || fail "$shell: the app's name is not offered"
  same "$shell: snapshots of a name" "$snapshot" "$($offers restore billing 2)"
  same "$shell: a label" before-x "$($offers restore $config bef)"
  same "$shell: a database" main.sqlite3 "$($offers restore $config latest --database '')"
  same "$shell: silent without such an app" '' "$($offers restore nowhere 2 2>&1)"
  words="$snapshot latest latest-verified before-x"
  same "$shell: pin" "$(printf '%s\n' $words | sort)" "$($offers pin $config '')"
  same "$shell: verify" "$(printf '%s\n' $words all | sort)" "$($offers verify --quiet --run true $config '')"
  same "$shell: diff" "$(printf '%s\n' $words live | sort)" "$($offers diff $config latest '')"
  same "$shell: a snapshot's beginning" "$snapshot" "$($offers restore $config 2)"
  same "$shell: nothing after the last" '' "$($offers restore $config latest '')"
  same "$shell: nothing after --" '' "$($offers open $config latest -- '')"
done
same "bash: the value of --verify" full "$(bash_offers backup --verify = f)"
same "zsh: the value of --verify" full "$(zsh_offers backup --verify=f)"
same "fish: the value of --verify" --verify=full "$(fish_offers backup --verify=f)"
exit $failed
