# shellcheck shell=bash disable=SC2154,SC2034  # variables that run.sh and its other files share
# Sourced by run.sh: the ways to copy a database that are compared, and the state of the destination that each
# starts from. A way's name is what --peers and the JSON call it.
#
#   choose_ways              sets `ways` and `not_found` from the options and PATH
#   ways_of SCENARIO         the ways that take part in it
#   prepare_states           makes what the peers start from; keep_state adds litepull's
#   restore_state STATE KIND puts it into the destination
#   run_way WAY              one copy, from $source_db into $destination
#   judge_copy WAY           whether that is a whole copy; one of litepull's that is not ends the benchmark

known_peers=(ssh-cat rsync rsync-z sqlite3_rsync backup-zstd backup-scp restic borg)

programs_of() {  # PEER
  case $1 in
    ssh-cat) echo ssh ;;
    rsync*) echo rsync ;;
    sqlite3_rsync) echo sqlite3_rsync ;;
    backup-zstd) echo sqlite3 zstd ;;
    backup-scp) echo sqlite3 scp ;;
    *) echo "$1" ;;
  esac
}

label_of() {  # WAY
  case $1 in
    litepull) echo "litepull --verify=none" ;;
    litepull-verified) echo "litepull, verified" ;;
    litepull-level*) echo "litepull, level ${1#litepull-level}" ;;
    ssh-cat) echo "ssh cat" ;;
    rsync) echo "rsync -a" ;;
    rsync-z) echo "rsync -az" ;;
    backup-zstd) echo ".backup + ssh zstd -3" ;;
    backup-scp) echo ".backup + scp -C" ;;
    restic | borg) echo "ssh cat + $1" ;;
    *) echo "$1" ;;
  esac
}

# Whether the copy is one committed state when the app writes meanwhile, and how many were not whole here, where no
# app writes.
consistency_of() {  # WAY
  local not_whole
  not_whole=$(grep -cx "$1" "$work/not-whole" 2>/dev/null || true)
  case $1 in
    litepull-verified) echo "yes, and proved" ;;
    litepull* | sqlite3_rsync | backup-*) [ "${not_whole:-0}" -eq 0 ] && echo yes || echo "$not_whole not whole" ;;
    *) echo no ;;
  esac
}

choose_ways() {
  local peer program missing
  [ -n "$peers_given" ] || mapfile -t peers < <(printf '%s\n' "${known_peers[@]}" | grep -v backup-scp)
  [ "${peers[*]}" != none ] || peers=()
  ways=() not_found=()
  for peer in "${peers[@]}"; do
    holds "$peer" "${known_peers[@]}" || die "no peer $peer" 2
    missing=
    for program in $(programs_of "$peer"); do command -v "$program" >/dev/null || missing=yes; done
    if [ -n "$missing" ]; then not_found+=("$peer"); else ways+=("$peer"); fi
  done
  ways+=(litepull litepull-verified)
}

ways_of() {  # SCENARIO
  local level
  printf '%s\n' "${ways[@]}"
  [ "$1" = full ] || return 0
  for level in "${levels[@]}"; do echo "litepull-level$level"; done
}

# For the link that is open: litepull's configurations, and a program `ssh` for whoever wants one by its path.
write_client_files() {
  local level
  cat >"$work/bench.env" <<CONFIG
APP_NAME=bench
LOCAL_BACKUP_ROOT=$destination
SERVER_USER=$SSH_USER
SERVER_HOST=$SSHD_ADDRESS
SERVER_PORT=$SSHD_PORT
SSH_KEY=$SSH_KEY
SSH_KNOWN_HOSTS=$SSH_KNOWN_HOSTS
REMOTE_BACKUP_DIR=$storage
CONFIG
  for level in "${levels[@]}"; do
    { cat "$work/bench.env"; echo "COMPRESSION_LEVEL=$level"; } >"$work/level$level.env"
  done
  # With BENCH_SSH_LOG set, ssh says there at its end how many bytes went each way.
  cat >"$work/ssh" <<SCRIPT
#!/bin/sh
exec ${IN_CLIENT[*]} ssh \${BENCH_SSH_LOG:+-v -E "\$BENCH_SSH_LOG"} ${SSH_OPTIONS[*]} "\$@"
SCRIPT
  # sqlite3_rsync does not wait for its ssh, so that it would not be among the processor time of its children, or
  # only now and then. This one is never: it runs aside, and leaves its own times.
  cat >"$work/ssh-aside" <<SCRIPT
#!/bin/sh
exec 3<&0  # as what is started with & is given /dev/null
{ "$work/ssh" "\$@"; times >"$work/aside.new"; mv "$work/aside.new" "$work/aside.times"; } <&3 3<&- &
SCRIPT
  chmod 700 "$work/ssh" "$work/ssh-aside"
}

# The server's side of these tools is looked up here, where PATH may hold more than over there.
run_way() {  # WAY
  local server=$SSH_USER@$SSHD_ADDRESS copy=$destination/bench.sqlite3 backup
  backup="'$(command -v sqlite3)' '$source_db' \".backup '$server_copy'\""
  case $1 in
    litepull) pull bench.env --verify=none ;;
    litepull-verified) pull bench.env --verify=full ;;
    litepull-level*) pull "${1#litepull-}.env" --verify=none ;;
    ssh-cat) "$work/ssh" "$server" "cat '$source_db'" >"$copy" ;;
    rsync) rsync -a -e "$work/ssh" "$server:$source_db" "$destination/" ;;
    rsync-z) rsync -az -e "$work/ssh" "$server:$source_db" "$destination/" ;;
    sqlite3_rsync)
      sqlite3_rsync --ssh "${aside:-$work/ssh}" --exe "$(command -v sqlite3_rsync)" \
        "$server:$source_db" "$copy" ;;
    backup-zstd)
      "$work/ssh" "$server" "$backup && '$(command -v zstd)' -q -3 -c '$server_copy'" |
        zstd -q -d -c >"$copy" ;;
    backup-scp)
      "$work/ssh" "$server" "$backup" && scp -q -C -S "$work/ssh" "$server:$server_copy" "$copy" ;;
    restic) "$work/ssh" "$server" "cat '$source_db'" | store_with_restic ;;
    borg) "$work/ssh" "$server" "cat '$source_db'" | store_with_borg today ;;
  esac
}

pull() {  # CONFIG OPTION
  "${IN_CLIENT[@]}" "$bin/litepull" backup "$work/$1" "$2" --quiet --json >"$work/litepull.json"
}

in_restic() {
  RESTIC_PASSWORD_FILE=$work/password RESTIC_CACHE_DIR=$destination/cache \
    restic -q -r "$destination/repository" "$@"
}
store_with_restic() { in_restic backup --stdin --stdin-filename bench.sqlite3; }

# The base directory has borg's cache, which belongs to the repository's state.
in_borg() {
  BORG_BASE_DIR=$destination/home BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes borg "$@"
}
store_with_borg() { in_borg create "$destination/repository::$1" -; }  # ARCHIVE

kind_of() {  # WAY: those of one kind start from the same state
  case $1 in
    litepull*) echo litepull ;;
    restic | borg) echo "$1" ;;
    *) echo plain ;;
  esac
}

restore_state() {  # STATE KIND
  rm -rf "$destination" "$server_copy"
  cp -a --reflink=auto "$work/state/$1/$2" "$destination"
}

keep_state() {  # STATE KIND
  rm -rf "$work/state/$1/$2"
  mv "$destination" "$work/state/$1/$2"
}

# The repositories take yesterday's file from this machine: how it got there makes no difference.
prepare_states() {
  local kind yesterday=$work/source/yesterday/bench.sqlite3
  mkdir -p "$work/state/empty" "$work/state/yesterday/plain"
  ! needs_yesterday || cp -p --reflink=auto "$yesterday" "$work/state/yesterday/plain/bench.sqlite3"
  echo bench >"$work/password"
  for kind in plain litepull restic borg; do
    mkdir -m 700 "$work/state/empty/$kind"
    if ! holds "$kind" restic borg || ! holds "$kind" "${ways[@]}"; then continue; fi
    restore_state empty "$kind"
    case $kind in
      restic) in_restic init ;;
      borg) in_borg init --encryption=none "$destination/repository" ;;
    esac
    keep_state empty "$kind"
    needs_yesterday || continue
    restore_state empty "$kind"
    case $kind in
      restic) store_with_restic <"$yesterday" ;;
      borg) store_with_borg yesterday <"$yesterday" ;;
    esac
    keep_state yesterday "$kind"
  done
}

print_copy() {  # WAY
  case $1 in
    litepull*) cat "$(sed -n 's/.*"snapshot": *"\([^"]*\)".*/\1/p' "$work/litepull.json")/bench.sqlite3" ;;
    restic) in_restic dump latest bench.sqlite3 ;;
    borg) in_borg extract --stdout "$destination/repository::today" ;;
    *) cat "$destination/bench.sqlite3" ;;
  esac
}

# A way that fails fast is not fast. The source is at rest, so a copy of any kind has its bytes; but SQLite's own
# ways count a change in the header, the first 100 bytes.
# A peer's failure is a figure, too: the table says how many of its copies were not whole.
judge_copy() {  # WAY
  ! print_copy "$1" | cmp -i 100 - "$source_db" >&2 || return 0
  [[ $1 != litepull* ]] || die "'$(label_of "$1")' left no whole copy"
  echo "'$(label_of "$1")' left no whole copy" >&2
  echo "$1" >>"$work/not-whole"
}
