# Sourced by the benchmarks: an OpenSSH server on 127.0.0.1, private to the script, all of it in one directory;
# the same as tests/support/sshd_fixture.h. Needs bash.
#
#   start_private_sshd DIR    sets SSHD_PID, SSHD_PORT, SSH_USER, SSH_KEY, SSH_KNOWN_HOSTS, REMOTE_CACHE and the
#                             array SSH: a client command that only lacks what to run
#   stop_private_sshd         ends that server, and no other
#
# It listens on SSHD_ADDRESS, when that is set, and is started by the command in the array SSHD_PREFIX.

free_port() {  # one that nothing answers at
  local port
  while :; do
    port=$((20000 + RANDOM % 40000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

write_sshd_config() {  # DIR
  cat >"$1/sshd_config" <<CONFIG
Port $SSHD_PORT
ListenAddress $SSHD_ADDRESS
HostKey $1/host_ed25519
PidFile $1/sshd.pid
AuthorizedKeysFile $1/user_key.pub
SetEnv XDG_CACHE_HOME=$REMOTE_CACHE HOME=$1/home
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
UseDNS no
Subsystem sftp internal-sftp
MaxStartups 1000
CONFIG
}

wait_for_sshd() {
  local try
  for try in {1..100}; do
    kill -0 "$SSHD_PID" 2>/dev/null || return 1
    "${SSHD_PREFIX[@]}" bash -c ": <>/dev/tcp/$SSHD_ADDRESS/$SSHD_PORT" 2>/dev/null && return 0
    sleep 0.1
  done
  return 1
}

start_private_sshd() {  # DIR
  local dir=$1 sshd try
  SSHD_ADDRESS=${SSHD_ADDRESS:-127.0.0.1}
  sshd=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v sshd) || { echo "install openssh-server" >&2; return 1; }
  # sshd started by root wants its empty chroot directory, which only the service's start-up makes.
  [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
  mkdir -p "$dir"
  chmod 711 "$dir"
  SSH_USER=$(id -un) SSH_KEY=$dir/user_key SSH_KNOWN_HOSTS=$dir/known_hosts REMOTE_CACHE=$dir/remote-cache
  mkdir -p "$REMOTE_CACHE" "$dir/home"
  ssh-keygen -q -t ed25519 -N '' -f "$dir/host_ed25519"
  ssh-keygen -q -t ed25519 -N '' -f "$SSH_KEY"
  for try in 1 2 3 4 5; do
    SSHD_PORT=$(free_port)
    write_sshd_config "$dir"
    "${SSHD_PREFIX[@]}" "$sshd" -D -e -f "$dir/sshd_config" 2>>"$dir/sshd.log" &
    SSHD_PID=$!
    wait_for_sshd && break
    [ "$try" -lt 5 ] || { cat "$dir/sshd.log" >&2; return 1; }
  done
  echo "[$SSHD_ADDRESS]:$SSHD_PORT $(cut -d' ' -f1,2 "$dir/host_ed25519.pub")" >"$SSH_KNOWN_HOSTS"
  SSH_OPTIONS=(-F none -p "$SSHD_PORT" -i "$SSH_KEY" -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes
    -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile="$SSH_KNOWN_HOSTS")
  SSH=(ssh "${SSH_OPTIONS[@]}" "$SSH_USER@$SSHD_ADDRESS")
}

stop_private_sshd() {
  [ -n "${SSHD_PID:-}" ] || return 0
  kill "$SSHD_PID" 2>/dev/null || true
  wait "$SSHD_PID" 2>/dev/null || true
  SSHD_PID=
}
