#!/usr/bin/env bash
# The commands of deploy/RECIPES.md, one after the other as they stand there, in an app's directory. Kamal, Rails and
# the service manager are stand-ins. Each command must succeed.
#
#   recipes_test.sh LITEPULL
set -euo pipefail
litepull=$(realpath "$1")
page=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")/deploy/RECIPES.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work XDG_CONFIG_HOME=$work/.config PATH=$work/bin:$(dirname "$litepull"):$PATH
app=$work/billing-workspace/billing
mkdir -p "$work/bin" "$work/server" "$app"/{bin,tmp,storage,config/projects,.kamal/hooks}
cd "$app"
sqlite3 "$work/server/production.sqlite3" 'CREATE TABLE invoices (id INTEGER PRIMARY KEY); INSERT INTO invoices VALUES (1)'
printf '%s\n' APP_NAME=billing TRANSPORT=local "WORKSPACE_DIR=$work/billing-workspace" \
  "LOCAL_BACKUP_ROOT=$work/billing-workspace/db_backups" "REMOTE_BACKUP_DIR=$work/server" >config/projects/billing.env
litepull backup --quiet config/projects/billing.env

printf '#!/bin/sh\n' | tee "$work/bin/kamal" "$work/bin/loginctl" >/dev/null
printf '#!/bin/sh\ncase "$*" in *is-enabled*) echo enabled ;; esac\n' >"$work/bin/systemctl"
# As Rails would, it reads the database that the URL names.
cat >bin/rails <<'END'
#!/bin/sh
[ "$PWD" != "$LITEPULL_RESTORED_DIR" ] && [ "$1" = runner ] &&
  [ "$(sqlite3 "${DATABASE_URL#sqlite3:}" 'SELECT count(*) FROM invoices')" -gt 0 ]
END
chmod +x bin/rails "$work"/bin/*
echo old >storage/development.sqlite3-wal

count=0
while IFS= read -r command; do
  count=$((count + 1))
  sh -c "$command" >"$work/said" 2>&1 </dev/null ||
    { echo "FAILED ($?): $command" >&2; cat "$work/said" >&2; exit 1; }
done < <(sed -n 's/^    //p' "$page")
[ $count -ge 20 ] || { echo "FAILED: only $count commands were found in $page" >&2; exit 1; }
[ "$(sqlite3 storage/development.sqlite3 'SELECT count(*) FROM invoices')" = 1 ] ||
  { echo "FAILED: production's data are not in development's database" >&2; exit 1; }
[ ! -e storage/development.sqlite3-wal ] || { echo "FAILED: the old WAL is still there" >&2; exit 1; }
