# bash completion for litepull(1). Commands, options and arguments are read from its own --help, so that this
# file never falls behind. Snapshots are read from `litepull list`.

# The arguments of the command $2 in order, one a line: CONFIG, SNAPSHOT and so on, with "..." if it repeats.
_litepull_positionals() {
  "$1" "$2" --help 2>/dev/null | sed -n 's/^  \([A-Z][A-Z]*\) TEXT\( \.\.\.\)\{0,1\}.*/\1\2/p'
}

# Its options. With a third argument, only those that take a value.
_litepull_options() {
  local value='.*'
  [ -z "${3-}" ] || value=' [A-Z][A-Z].*'
  "$1" "$2" --help 2>/dev/null | sed -n "s/^  *\(-[-a-z,A-Z]*\)$value\$/\1/p" | tr , '\n'
}

# The snapshots of the app $2, which is a file or a name, as JSON. A slow disk must not keep the prompt waiting.
_litepull_listed() {
  [ -e "$2" ] || [ ! -e "config/projects/$2.env" ] || set -- "$1" "config/projects/$2.env"
  if type -P timeout >/dev/null; then timeout 2 "$1" list --json "$2" 2>/dev/null; else "$1" list --json "$2" 2>/dev/null; fi
}

_litepull_configs() {
  local file
  for file in config/projects/"$1"*.env; do
    [ ! -e "$file" ] || basename "$file" .env
  done
  compgen -G 'config/projects/*.env' | grep -F -- "$1" | while IFS= read -r file; do
    [[ $file != "$1"* ]] || printf '%s\n' "$file"
  done
  compgen -f -X '!*.env' -- "$1"
  compgen -d -S / -- "$1"
}

# The snapshots of the app whose configuration is $2, and the words for a snapshot that the command $3 takes.
_litepull_snapshots() {
  printf '%s\n' latest latest-verified
  case $3 in verify) echo all ;; diff) echo live ;; esac
  _litepull_listed "$1" "$2" | sed -n -e 's/^ *"name": "\([0-9][^"]*T[^"]*\)",$/\1/p' -e 's/^ *"label": "\([^" ]*\)".*/\1/p'
}

# The databases in the newest snapshot of the app $2.
_litepull_databases() {
  local path
  path=$(_litepull_listed "$1" "$2" | sed -n 's/^ *"path": "\([^"]*\)",$/\1/p' | sort | tail -n 1)
  [ -z "$path" ] || (cd "$path" 2>/dev/null && find . -path './.*' -prune -o -type f -name '*.sqlite3' -print 2>/dev/null | sed 's|^\./||')
}

_litepull() {
  local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command='' config='' word kind i=0 taking=0 count=0 kinds with_value
  # Bash divides --verify=full at the sign.
  [ "$current" != = ] || current=''
  [ "$previous" != = ] || previous=${COMP_WORDS[COMP_CWORD - 2]}
  COMPREPLY=()

  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [ -z "$command" ]; then
      case $word in -*) ;; *) command=$word with_value=$(_litepull_options "$program" "$word" value) ;; esac
    elif [ "$word" = -- ] && [ "$command" = open ]; then
      return
    elif [ "$word" = = ]; then
      taking=1
    elif [ $taking -eq 1 ]; then
      taking=0
    elif [[ $word == -* ]]; then
      ! grep -qxF -e "$word" <<<"$with_value" || taking=1
    else
      [ $((count++)) -gt 0 ] || config=$word
    fi
  done
  config=${config/#\~\//$HOME/}

  if [ -z "$command" ]; then
    mapfile -t COMPREPLY < <(compgen -W "--help --version $("$program" --help 2>/dev/null |
      sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p')" -- "$current")
  elif grep -qxF -e "$previous" <<<"$with_value" && [[ $current != -* ]]; then
    case $previous in
      --verify) mapfile -t COMPREPLY < <(compgen -W 'full quick none strict' -- "$current") ;;
      --database)
        mapfile -t COMPREPLY < <(compgen -W "$(_litepull_databases "$program" "$config")" -- "$current")
        ;;
      --to) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
      --*file) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    esac
  elif [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_litepull_options "$program" "$command")" -- "$current")
  else
    mapfile -t kinds < <(_litepull_positionals "$program" "$command")
    kind=${kinds[count]-}
    [[ ${kinds[0]-} != *... ]] || kind=${kinds[0]}
    case $kind in
      CONFIG*) mapfile -t COMPREPLY < <(_litepull_configs "$current" | sort -u); compopt -o filenames 2>/dev/null ;;
      SNAPSHOT | A | B)
        mapfile -t COMPREPLY < <(compgen -W "$(_litepull_snapshots "$program" "$config" "$command")" -- "$current")
        ;;
    esac
  fi
}

complete -F _litepull litepull
