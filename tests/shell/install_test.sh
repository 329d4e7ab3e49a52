#!/usr/bin/env bash
# What `cmake --install` puts below a prefix works from there, wherever that is: the client finds its agent in
# ../lib/litepull, also through a link.
#
#   install_test.sh BUILD-DIRECTORY
set -euo pipefail
readme=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")/deploy/README.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --prefix "$work/prefix" >/dev/null
prefix=$work/prefix

missing=0
for file in bin/litepull "lib/litepull/litepull-agent-$(uname -m)" share/man/man1/litepull.1.gz share/man/man5/litepull-config.5.gz \
  share/bash-completion/completions/litepull share/fish/vendor_completions.d/litepull.fish share/zsh/site-functions/_litepull share/doc/litepull/README.md; do
  [ -s "$prefix/$file" ] || { echo "FAILED: $file is not installed" >&2; missing=1; }
done
[ $missing -eq 0 ]

# Each shell finds its completion below ~/.local; zsh with the line that deploy/README.md names.
cmake --install "$1" --prefix "$work/.local" >/dev/null
export HOME=$work
unset XDG_DATA_HOME
if command -v zsh >/dev/null; then
  zsh -fc "$(sed -n 's/^    \(fpath=.*\)$/\1/p' "$readme")"'
    autoload -Uz compinit && compinit -u -D && [[ $_comps[litepull] = _litepull ]]' ||
    { echo "FAILED: zsh does not find the completion below ~/.local" >&2; exit 1; }
fi
if command -v fish >/dev/null; then
  PATH="$work/.local/bin:$PATH" fish -c 'complete -C "litepull unp" | string match -q "unpin*"' ||
    { echo "FAILED: fish does not find the completion below ~/.local" >&2; exit 1; }
fi
if [ -r /usr/share/bash-completion/bash_completion ]; then
  bash --norc -c '. /usr/share/bash-completion/bash_completion
    { _comp_load litepull || __load_completion litepull; } 2>/dev/null; complete -p litepull' >/dev/null ||
    { echo "FAILED: bash does not find the completion below ~/.local" >&2; exit 1; }
fi
if [ -e /etc/debian_version ]; then
  DESTDIR=$work/root cmake --install "$1" --prefix /usr >/dev/null
  [ -s "$work/root/usr/share/zsh/vendor-completions/_litepull" ] ||
    { echo "FAILED: below /usr, Debian's zsh does not find the completion" >&2; exit 1; }
fi

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
