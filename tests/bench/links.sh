# shellcheck shell=bash disable=SC2154,SC2034  # variables that run.sh and its other files share
# Sourced by run.sh: the network between the two ends, and the private sshd at its far end. A link that is not
# the loopback is a veth pair between two network namespaces, named after this process; of the client's end the
# kernel counts both directions.
#
#   can_make_links     whether this user, on this kernel, can have other links than the loopback
#   open_link LINK     starts the sshd there; sets IN_CLIENT, which goes in front of what connects
#   limit_link LINK    holds both directions to the rate that LINK names, if it names one
#   link_bytes         prints "RECEIVED SENT" of the client's end so far; "- -" on the loopback
#   close_link         ends the sshd, removes the namespaces

namespace=litepull-bench-$$
IN_CLIENT=()
links_possible=

can_make_links() {
  if [ -z "$links_possible" ]; then
    if make_namespaces 2>/dev/null; then links_possible=yes; else links_possible=no; fi
    remove_namespaces
  fi
  [ "$links_possible" = yes ]
}

make_namespaces() {
  command -v tc >/dev/null && command -v nsenter >/dev/null && ip netns add "$namespace-client" &&
    ip netns add "$namespace-server" &&
    ip link add veth netns "$namespace-client" type veth peer name veth netns "$namespace-server" &&
    ip -n "$namespace-client" address add 192.0.2.1/24 dev veth &&  # RFC 5737; nobody else is in there
    ip -n "$namespace-server" address add 192.0.2.2/24 dev veth &&
    ip -n "$namespace-client" link set veth up &&
    ip -n "$namespace-server" link set veth up &&
    ip -n "$namespace-server" link set lo up  # wait_for_sshd looks from there
}

remove_namespaces() {
  local side
  for side in client server; do
    [ ! -e "/run/netns/$namespace-$side" ] || ip netns del "$namespace-$side"
  done
}

open_link() {  # LINK
  IN_CLIENT=() SSHD_PREFIX=() SSHD_ADDRESS=127.0.0.1
  if [ "$1" != loopback ]; then
    make_namespaces
    IN_CLIENT=(nsenter "--net=/run/netns/$namespace-client")
    SSHD_PREFIX=(nsenter "--net=/run/netns/$namespace-server")
    SSHD_ADDRESS=192.0.2.2
  fi
  rm -rf "$work/sshd"
  start_private_sshd "$work/sshd"
}

limit_link() {  # LINK
  local side
  [[ $1 = *bit ]] || return 0
  for side in client server; do
    nsenter "--net=/run/netns/$namespace-$side" \
      tc qdisc add dev veth root tbf rate "$1" burst 256kb latency 50ms
  done
}

link_bytes() {
  [ ${#IN_CLIENT[@]} -gt 0 ] || { echo "- -"; return; }
  "${IN_CLIENT[@]}" cat /proc/net/dev | sed 's/:/ /' | awk '$1 == "veth" { print $2, $10 }'
}

close_link() {
  stop_private_sshd
  remove_namespaces
}
