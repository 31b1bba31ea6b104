#!/bin/bash
# A throw-away LXD whose `lxc` command and daemon fetch from a simplestreams tree; all state lies below one directory.
#
#   lxd.sh start DIR                 start it
#   lxd.sh add DIR URL CERTIFICATE   know the tree at URL as the remote `tree`, with its certificate (a PEM file)
#   lxd.sh lxc DIR ARGUMENT...       run the command in DIR
#   lxd.sh stop DIR                  end it and undo its mounts
#
# Needs root and the Debian packages lxd and lxd-client. The daemon listens on DIR/d/unix.socket and nowhere else.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '4,7s/^# *//p' "$0" >&2; exit 2; }
command=$1
dir=$(readlink -m "$2")
shift 2
export LXD_DIR=$dir/d LXD_CONF=$dir/conf
unset LXD_SOCKET

running() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = lxd ]; }

end() {
  local pid
  pid=$(cat "$dir/pid" 2>/dev/null || echo 0)
  [ "$pid" -gt 1 ] && running "$pid" || return 0
  kill "$pid" || true
  for _ in $(seq 100); do running "$pid" || return 0; sleep .1; done
  kill -KILL "$pid" || true
}

unmount() {
  awk -v below="$dir/" 'index($2, below) == 1 { print $2 }' /proc/self/mounts | sort -r |
    while read -r mount; do umount -l "$mount" || true; done
}

case $command in
start)
  mkdir -p "$LXD_DIR" "$LXD_CONF/servercerts"
  trap 'tail -n 20 "$dir/out" "$dir/log" >&2; end; unmount' EXIT
  setsid sh -c 'echo $$ >"$1/pid"; exec lxd --group root --logfile "$1/log"' lxd "$dir" \
    >>"$dir/out" 2>&1 </dev/null &
  lxd waitready --timeout=60
  trap - EXIT;;
add)
  cp "$2" "$LXD_CONF/servercerts/tree.crt"
  lxc remote add tree "$1" --protocol simplestreams </dev/null >>"$dir/out" 2>&1;;
lxc)
  cd "$dir"
  timeout 120 lxc "$@" </dev/null 2>>"$dir/out";;
stop)
  end
  unmount;;
*)
  exit 2;;
esac
