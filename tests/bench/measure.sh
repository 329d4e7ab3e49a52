# shellcheck shell=bash disable=SC2154,SC2034  # variables that run.sh and its other files share
# Sourced by run.sh: one run of one way, and what it took. Every run is a line in $runs; "-" is "not known".
#
#   measure_way LINK SCENARIO WAY ROUND   round 0: not timed, but its memory is watched
#   run_untimed WAY                       only the copy
#   end_sessions                          ends what an interrupted run has left at the sshd

ticks_per_second=$(getconf CLK_TCK)
watched=

pause() { read -rt "$1" <>"$work/pause" || true; }  # without a process

wait_for_next_second() {
  local microseconds=${EPOCHREALTIME#*.}
  pause "$(printf '0.%06d' $((999999 - 10#$microseconds)))"
  pause 0.01
}

# PID and all below it, into the array `processes`.
list_processes() {  # PID
  local at child children file
  processes=("$1")
  for ((at = 0; at < ${#processes[@]}; ++at)); do
    for file in "/proc/${processes[at]}/task"/*/children; do
      children=
      { read -r children <"$file"; } 2>/dev/null || true
      for child in $children; do processes+=("$child"); done
    done
  done
}

# Until the sshd has reaped all its sessions: only then is their processor time counted with it.
wait_for_sessions() {
  local processes
  for _ in {1..400}; do
    list_processes "$SSHD_PID"
    [ ${#processes[@]} -gt 1 ] || return 0
    pause 0.025
  done
  die "a session on the server does not end"
}

end_sessions() {
  local processes
  [ -n "${SSHD_PID:-}" ] || return 0
  list_processes "$SSHD_PID"
  [ ${#processes[@]} -eq 1 ] || kill "${processes[@]:1}" 2>/dev/null || true
  [ -z "$watched" ] || wait "$watched" 2>/dev/null || true
}

server_cpu_ms() {  # of the sessions that have ended
  local stat fields
  stat=$(<"/proc/$SSHD_PID/stat")
  read -ra fields <<<"${stat##*) }"  # from the third on; proc(5): cutime is the 16th, cstime the 17th
  echo "$(((fields[13] + fields[14]) * 1000 / ticks_per_second))"
}

# The last run's dirty pages are not this one's work, and both ends have been read before.
settle() {
  sync -f "$work"
  find "$destination" "$source_db" -type f -exec cat {} + >/dev/null
}

fail_way() {  # WAY
  cat "$work/stderr" >&2
  die "'$(label_of "$1")' failed"
}

run_untimed() {  # WAY
  run_way "$1" </dev/null 2>"$work/stderr" || fail_way "$1"
  judge_copy "$1"
  wait_for_sessions
}

time_run() {  # WAY: sets wall and client_cpu, in ms
  local TIMEFORMAT='%3R %3U %3S' user system aside=$work/ssh-aside
  rm -f "$work/aside.times"
  { time run_way "$1" </dev/null 2>"$work/stderr"; } 2>"$work/time" || fail_way "$1"
  read -r wall user system <"$work/time"
  wall=$((10#${wall/./})) client_cpu=$((10#${user/./} + 10#${system/./}))
  [ "$1" != sqlite3_rsync ] || client_cpu=$((client_cpu + $(aside_cpu_ms)))
}

# Of the ssh that ran aside: the second line of `times`, of its children, as "0m0.120000s 0m0.030000s".
aside_cpu_ms() {
  local try
  for try in {1..400}; do [ ! -e "$work/aside.times" ] || break; pause 0.025; done
  [ -e "$work/aside.times" ] || die "ssh has not ended, $try looks after sqlite3_rsync has"
  awk -F'[ms ]+' 'NR == 2 { printf "%.0f", 1000 * (60 * $1 + $2 + 60 * $3 + $4) }' "$work/aside.times"
}

note_peak() {  # ARRAY PID
  local -n peaks=$1
  local status=
  { read -rd '' status <"/proc/$2/status"; } 2>/dev/null || true
  [[ $status =~ VmHWM:[[:space:]]+([0-9]+) ]] || return 0
  [ "${BASH_REMATCH[1]}" -le "${peaks[$2]:-0}" ] || peaks[$2]=${BASH_REMATCH[1]}
}

# Sets client_peak and agent_peak, in bytes: the sum of the peaks of its processes. The shell that starts the
# others is no part of the client. Sets own_received and own_sent to what ssh says, where it is asked.
watch_run() {  # WAY
  local agent pid processes client_peaks=() agent_peaks=() ssh_log=
  agent=$(find "$REMOTE_CACHE" -type f -perm -u+x -size +100k | head -n 1)
  rm -f "$work/ssh.log"
  # On the loopback, only ssh itself can say what went which way.
  [ ${#IN_CLIENT[@]} -gt 0 ] || ssh_log=$work/ssh.log
  BENCH_SSH_LOG=$ssh_log run_way "$1" </dev/null 2>"$work/stderr" &
  watched=$!
  while kill -0 "$watched" 2>/dev/null; do
    list_processes "$watched"
    for pid in "${processes[@]}"; do
      [ "/proc/$pid/exe" -ef "$BASH" ] || note_peak client_peaks "$pid"
    done
    list_processes "$SSHD_PID"
    for pid in "${processes[@]}"; do
      [ ! "/proc/$pid/exe" -ef "$agent" ] || note_peak agent_peaks "$pid"
    done
    pause 0.01
  done
  wait "$watched" || fail_way "$1"
  watched=
  client_peak=$(sum_kib "${client_peaks[@]}") agent_peak=$(sum_kib "${agent_peaks[@]}")
}

sum_kib() {  # KIB...: in bytes, or - when there is none
  local sum=0 kib
  for kib in "$@"; do sum=$((sum + kib)); done
  [ "$sum" -gt 0 ] && echo $((sum * 1024)) || echo -
}

litepull_says() {  # NAME: a number in the result of litepull's last run, or -
  local found
  found=$(grep -oE "\"$1\": *[-+0-9.e]+" "$work/litepull.json" | head -n 1) && echo "${found##*[: ]}" || echo -
}

# Sets own_received and own_sent, as counted by the way itself.
read_own_bytes() {  # WAY
  own_received=- own_sent=-
  if [[ $1 = litepull* ]]; then
    own_received=$(litepull_says received_bytes) own_sent=$(litepull_says sent_bytes)
  elif [ -s "$work/ssh.log" ]; then
    read -r own_received own_sent < <(sed -n 's/.*Transferred: sent \([0-9]*\), received \([0-9]*\).*/\1 \2/p' \
      "$work/ssh.log" | awk '{ sent += $1; received += $2 } END { printf "%.0f %.0f\n", received, sent }')
  fi
}

read_agent() {  # WAY: sets hold, agent_cpu, and agent_peak where litepull knows better than who watched
  hold=- agent_cpu=-
  [[ $1 = litepull* ]] || return 0
  hold=$(litepull_says hold_s) agent_cpu=$(litepull_says cpu_s)
  [ "$(litepull_says peak_rss_bytes)" = - ] || agent_peak=$(litepull_says peak_rss_bytes)
}

measure_way() {  # LINK SCENARIO WAY ROUND
  local wall=- client_cpu=- client_peak=- agent_peak=- agent_cpu hold own_received own_sent received=- sent=-
  local server_cpu before after written=0 line
  restore_state "$(state_of "$2")" "$(kind_of "$3")"
  settle
  # A second has room for one snapshot, and a short pull could have to wait for the next.
  [[ $2 != small || $3 != litepull* ]] || wait_for_next_second
  server_cpu=$(server_cpu_ms)
  read -ra before < <(link_bytes)
  if [ "$4" -eq 0 ]; then watch_run "$3"; else time_run "$3"; fi
  wait_for_sessions
  server_cpu=$(($(server_cpu_ms) - server_cpu))
  read -ra after < <(link_bytes)
  [ "${after[0]}" = - ] || received=$((after[0] - before[0])) sent=$((after[1] - before[1]))
  judge_copy "$3"
  [ ! -e "$server_copy" ] || written=$(stat -c %s "$server_copy")
  read_own_bytes "$3"
  read_agent "$3"
  line=("$@" "$wall" "$client_cpu" "$server_cpu" "$received" "$sent" "$own_received" "$own_sent" "$hold"
    "$agent_cpu" "$agent_peak" "$client_peak" "$written")  # as `columns` in table.sh
  (IFS=$'\t'; echo "${line[*]}") >>"$runs"
  echo "$1, $2, round $4: $(label_of "$3"), $wall ms" >&2
}
