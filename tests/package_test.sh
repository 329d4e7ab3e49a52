#!/usr/bin/env bash
# The Debian package, from nothing: made by deploy/package.sh, installed on a bare Debian 12 in a temporary
# directory, used there, and purged without a trace. Takes minutes; needs root, debootstrap and the mirror that
# this machine's own apt uses.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ "$(id -u)" -eq 0 ] || { echo "package_test: skipped: this is not root"; exit 77; }

fail() { echo "package_test: FAILED: $*" >&2; exit 1; }

package=$(./deploy/package.sh | tail -1)
contents=$(dpkg-deb -c "$package")
for machine in x86_64 aarch64; do
  grep -q "/usr/lib/litepull/litepull-agent-$machine\$" <<<"$contents" || fail "no agent for $machine in it"
done
grep -q libssh-4 <<<"$(dpkg-deb -f "$package" Depends)" || fail "its dependencies were not computed"
awk '$2 != "root/root" || $1 ~ /^.....w|^........w/' <<<"$contents" | grep . && fail "not only root can write there"

work=$(mktemp -d)
bare=$work/bare
cleanup() {
  ! mountpoint -q "$bare/proc" || umount "$bare/proc"
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT
mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
  awk '$2 == "bookworm" && $3 == "main" { print $1; exit }')
[ -n "$mirror" ] || { echo "package_test: skipped: apt knows no mirror of Debian 12"; exit 77; }
debootstrap --variant=minbase bookworm "$bare" "$mirror" >"$work/debootstrap.log" || { cat "$work/debootstrap.log"; exit 1; }
mount -t proc proc "$bare/proc"
inside() { chroot "$bare" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C "$@"; }

# What is on it: names, modes and owners, but for what apt and dpkg note for themselves.
everything() {
  (cd "$bare" && find . -xdev \( -path ./proc -o -path ./var/cache -o -path ./var/log -o -path ./var/lib/apt -o \
    -path ./var/lib/dpkg -o -path ./tmp -o -path ./etc/ld.so.cache \) -prune -o -printf '%p %m %u:%g\n' | sort)
}

# Its dependencies first, so that what is compared is the package alone.
dpkg-deb -f "$package" Depends | tr , '\n' | sed 's/(.*//; s/ //g' >"$work/depends"
inside apt-get update -q >/dev/null
mapfile -t depends <"$work/depends"
inside apt-get install -y -q --no-install-recommends "${depends[@]}" >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; exit 1; }
cp "$package" "$bare/tmp/litepull.deb"
everything >"$work/before"
inside dpkg -i /tmp/litepull.deb >/dev/null
inside dpkg --verify litepull | grep . && fail "files differ from the package's checksums"
everything >"$work/installed"
cmp -s "$work/before" "$work/installed" && fail "it installed nothing"

mkdir "$bare/tmp/storage"
sqlite3 "$bare/tmp/storage/main.sqlite3" 'PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (41), (42)' >/dev/null
printf '%s\n' APP_NAME=demo TRANSPORT=local REMOTE_BACKUP_DIR=/tmp/storage LOCAL_BACKUP_ROOT=/tmp/backups >"$bare/tmp/demo.env"
inside litepull backup /tmp/demo.env
inside litepull verify /tmp/demo.env
rows=$(sqlite3 "file:$(echo "$bare"/tmp/backups/demo/2*)/main.sqlite3?immutable=1" 'SELECT sum(a) FROM t')
[ "$rows" = 83 ] || fail "the copy holds $rows"

inside dpkg --purge litepull
everything >"$work/after"
diff "$work/before" "$work/after" || fail "it left something behind"
echo "package_test: $(basename "$package") installs, pulls, and is gone"
