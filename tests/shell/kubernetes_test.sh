#!/usr/bin/env bash
# The example for Kubernetes is sound YAML, its mounts are its volumes, and litepull takes the configuration in it.
#
#   kubernetes_test.sh LITEPULL
set -euo pipefail
litepull=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../../deploy/kubernetes"
python3=/usr/bin/python3  # Debian's, which has Debian's python3-yaml
$python3 -c 'import yaml' 2>/dev/null || { echo "skipped: there is no python3-yaml"; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/ssh" "$work/workspace"
touch "$work/ssh/id_ed25519" "$work/ssh/known_hosts"
$python3 - "$work" <<'PYTHON'
import sys, yaml
config, claim, cron = yaml.safe_load_all(open("cronjob.yaml"))
pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
container = pod["containers"][0]
volumes = {volume["name"]: volume for volume in pod["volumes"]}
mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
assert set(mounts) == set(volumes), (mounts, volumes)
assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]
assert volumes["workspace"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
assert pod["securityContext"]["runAsNonRoot"] is True
(name, text), = config["data"].items()
assert container["args"] == ["backup", mounts["config"] + "/" + name]
keys = dict(line.split("=", 1) for line in text.splitlines())
assert keys["WORKSPACE_DIR"] == mounts["workspace"]
assert keys["LOCAL_BACKUP_ROOT"] == '"$WORKSPACE_DIR/db_backups"'
assert keys["SSH_KEY"].startswith(mounts["ssh"] + "/")
for path in mounts["workspace"], mounts["ssh"]:
    text = text.replace("=" + path, "=" + sys.argv[1] + path)
open(sys.argv[1] + "/billing.env", "w").write(text)
PYTHON
"$litepull" list "$work/billing.env"
