#!/usr/bin/env bash
# A systemd of a user's own, real and private to this test, starts the backup that `litepull schedule` has asked
# it for: with nothing of a login in its environment, made up for when it was missed, and not any more once it
# was removed. LITEPULL_LONG=1 also waits until the clock strikes.
#
#   timer_test.sh LITEPULL
#
# Needs root: systemd looks for the system's own below /run, which here is a /run of this test alone.
set -euo pipefail
litepull=$1
if [ "${2-}" != inside ]; then
  [ -x /lib/systemd/systemd ] || { echo "skipped: there is no systemd"; exit 77; }
  unshare --mount true 2>/dev/null || { echo "skipped: only root can have a /run of its own"; exit 77; }
  exec unshare --mount "$0" "$litepull" inside
fi

work=$(mktemp -d)
groups=()
manager=
clean_up() {
  [ -z "$manager" ] || { kill "$manager" && wait "$manager" || true; }
  for group in "${groups[@]}"; do
    echo $$ >"${group%/*}/cgroup.procs"
    find "$group" -depth -type d -exec rmdir {} + || true
  done
  rm -rf "$work"
}
trap clean_up EXIT
fail() { echo "FAILED: $1" >&2; cat "$work/manager.log" >&2; exit 1; }

mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
# It makes control groups below its own.
for root in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
  [ -f "$root/cgroup.procs" ] || continue
  mkdir "$root/litepull-test-$$" 2>/dev/null || { echo "skipped: no control group can be made"; exit 77; }
  groups+=("$root/litepull-test-$$")
  echo $$ >"$root/litepull-test-$$/cgroup.procs"
done

mkdir -p "$work"/{home,storage} && mkdir -m 700 "$work/run"
bare=(env -i "HOME=$work/home" "XDG_RUNTIME_DIR=$work/run" PATH=/usr/bin:/bin)
"${bare[@]}" /lib/systemd/systemd --user --log-target=console >"$work/manager.log" 2>&1 &
manager=$!
for _ in $(seq 100); do
  "${bare[@]}" systemctl --user is-system-running >/dev/null 2>&1 && break
  kill -0 "$manager" 2>/dev/null || { cat "$work/manager.log"; manager=; echo "skipped: systemd does not run here"; exit 77; }
  sleep 0.1
done

sqlite3 "$work/storage/main.sqlite3" 'CREATE TABLE t (a)'
config=$work/app.env
printf '%s\n' APP_NAME=app TRANSPORT=local "REMOTE_BACKUP_DIR=$work/storage" "LOCAL_BACKUP_ROOT=$work/backups" >"$config"
snapshots() { "$litepull" list --json "$config" | grep -c '"verified": "ok"' || true; }
wait_for() {  # SECONDS COUNT: until there are COUNT snapshots
  for _ in $(seq $(($1 * 5))); do
    [ "$(snapshots)" -lt "$2" ] || return 0
    sleep 0.2
  done
  fail "no snapshot number $2 after $1 s"
}

# Missed ten minutes ago, and last run two days ago: made up for at once.
mkdir -p "$work/home/.local/share/systemd/timers"
touch -d '2 days ago' "$work/home/.local/share/systemd/timers/stamp-litepull-app.timer"
"${bare[@]}" "$litepull" schedule "$config" --at "$(date -d '10 minutes ago' +%H:%M)" --jitter 0
wait_for 30 1
timers() { "${bare[@]}" systemctl --user list-timers --all --no-legend; }
[[ $(timers) == *litepull-app.timer* ]] || fail "the timer is not listed"
for _ in $(seq 50); do
  result=$("${bare[@]}" systemctl --user show --property=Result,ActiveState litepull-app.service)
  [ "$result" != $'Result=success\nActiveState=inactive' ] || break
  sleep 0.1
done
[ "$result" = $'Result=success\nActiveState=inactive' ] || fail "the service ended with $result"

# What goes wrong is a failed unit, with litepull's exit code, and no endless tries.
mv "$work/storage" "$work/elsewhere"
if "${bare[@]}" systemctl --user start litepull-app.service 2>/dev/null; then fail "a run without a storage was a success"; fi
result=$("${bare[@]}" systemctl --user show --property=ExecMainStatus,ActiveState litepull-app.service)
[ "$result" = $'ExecMainStatus=2\nActiveState=failed' ] || fail "the failed service has $result"
mv "$work/elsewhere" "$work/storage"

if [ "${LITEPULL_LONG-}" = 1 ]; then
  "${bare[@]}" "$litepull" schedule "$config" --at "$(date -d '1 minute' +%H:%M)" --jitter 0
  wait_for 130 2  # a minute until then, and one of systemd's accuracy
fi

"${bare[@]}" "$litepull" schedule "$config" --remove
[[ $(timers) != *litepull-app* ]] || fail "a removed timer is still there"
