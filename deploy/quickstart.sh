#!/usr/bin/env bash
# From a fresh clone to a first backup: installs what is missing, builds, then pulls a database that is being
# written all the while, verifies the copy and lists it. Everything it makes but the build is in a temporary
# directory that it removes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

./deploy/install-packages.sh build
cmake --preset release
cmake --build --preset release
bin=$PWD/build/release/bin

demo=$(mktemp -d)
writer=
cleanup() {
  [ -z "$writer" ] || kill "$writer" 2>/dev/null || true
  [ -z "$writer" ] || wait "$writer" 2>/dev/null || true
  rm -rf "$demo"
}
trap cleanup EXIT

echo
echo "== A database under writes =="
mkdir "$demo/storage"
database=$demo/storage/production.sqlite3
sqlite3 "$database" >/dev/null <<'SQL'
PRAGMA journal_mode = WAL;
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, total_cents INTEGER NOT NULL);
CREATE INDEX orders_customer ON orders (customer);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO orders (customer, total_cents) SELECT 'customer ' || (i % 5000), i % 9900 FROM n;
SQL

# Inserts and updates, a transaction a statement, until it is stopped; what feeds it ends with it.
statements() {
  while :; do
    echo "INSERT INTO orders (customer, total_cents) VALUES ('new', abs(random()) % 9900);" &&
      echo "UPDATE orders SET total_cents = total_cents + 1 WHERE id = abs(random()) % 200000;" || return
  done 2>/dev/null
}
sqlite3 -cmd '.timeout 10000' "$database" < <(statements) &
writer=$!

cat >"$demo/demo.env" <<ENV
APP_NAME=demo
TRANSPORT=local
REMOTE_BACKUP_DIR=$demo/storage
WORKSPACE_DIR=$demo/demo-workspace
LOCAL_BACKUP_ROOT="\$WORKSPACE_DIR/db_backups"
ENV

echo "rows before the pull: $(sqlite3 -cmd '.timeout 10000' "$database" 'SELECT count(*) FROM orders')"
"$bin/litepull" backup "$demo/demo.env"
echo "rows after the pull:  $(sqlite3 -cmd '.timeout 10000' "$database" 'SELECT count(*) FROM orders')"

echo
echo "== The snapshot =="
"$bin/litepull" list "$demo/demo.env"
snapshot=$(echo "$demo"/demo-workspace/db_backups/demo/2*)
echo "rows in the snapshot: $(sqlite3 "file:$snapshot/production.sqlite3?immutable=1" 'SELECT count(*) FROM orders')"
kill -0 "$writer" || { echo "quickstart: the writer had stopped: this proves nothing" >&2; exit 1; }

echo
echo "It works. Next, in the directory of an app that is deployed with Kamal:"
echo "  $PWD/build/release/bin/litepull init"
echo "or without Kamal: copy config/projects/example.env.sample to config/projects/APP.env and edit it, then"
echo "  build/release/bin/litepull check config/projects/APP.env"
