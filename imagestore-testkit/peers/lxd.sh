#!/bin/bash
# A throw-away LXD for tests: the real daemon and the real `lxc`, with all their state below one directory.
#
#   lxd.sh start DIR                     start the daemon, on DIR/d/unix.socket
#   lxd.sh listen DIR PORT               make it listen on 127.0.0.1:PORT too
#   lxd.sh images DIR                    give it images and a certificate to trust, print NAME=value lines
#   lxd.sh know DIR NAME URL PROTOCOL    know the server at URL as a remote; its certificate is DIR/NAME.crt
#   lxd.sh lxc DIR ARGUMENT...           run `lxc` in DIR
#   lxd.sh kill DIR                      end the daemon at once, as a crash would
#   lxd.sh again DIR                     start it again with what it had
#   lxd.sh stop DIR                      end it and undo its mounts
#
# Needs root and the Debian packages lxd, lxd-client, squashfs-tools, xz-utils and openssl.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '4,11s/^# *//p' "$0" >&2; exit 2; }
command=$1
dir=$(readlink -m "$2")
shift 2
export LXD_DIR=$dir/d LXD_CONF=$dir/conf
unset LXD_SOCKET

running() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = lxd ]; }

run() {
  setsid sh -c 'echo $$ >"$1/pid"; exec lxd --group root --logfile "$1/log"' host "$dir" \
    >>"$dir/out" 2>&1 </dev/null &
  lxd waitready --timeout=60
}

end() {
  local pid
  pid=$(cat "$dir/pid" 2>/dev/null || echo 0)
  [ "$pid" -gt 1 ] && running "$pid" || return 0
  kill "-$1" "$pid" || true
  for _ in $(seq 100); do running "$pid" || return 0; sleep .1; done
  kill -KILL "$pid" || true
  for _ in $(seq 50); do running "$pid" || return 0; sleep .1; done
}

unmount() {
  awk -v below="$dir/" 'index($2, below) == 1 { print $2 }' /proc/self/mounts | sort -r |
    while read -r mount; do umount -l "$mount" || true; done
}

pack() { tar --numeric-owner --owner=0 --group=0 --mtime=@1395234589 --sort=name "$@"; }
sum() { cat "$@" | sha256sum | cut -d' ' -f1; }

case $command in
start)
  mkdir -p "$LXD_DIR" "$LXD_CONF/servercerts"
  trap 'tail -n 20 "$dir/out" "$dir/log" >&2; end KILL; unmount' EXIT
  run
  trap - EXIT;;
listen)
  lxc config set "core.https_address=127.0.0.1:$1" </dev/null >>"$dir/out" 2>&1;;
images)
  mkdir -p "$dir/image/rootfs/"{bin,etc,dev,var/empty} "$dir/image/templates"
  trap 'tail -n 20 "$dir/out" "$dir/log" >&2' EXIT
  cd "$dir/image"
  echo box >rootfs/etc/hostname
  ln -s busybox rootfs/bin/sh
  ln rootfs/etc/hostname rootfs/etc/hostname.again
  printf '#!/bin/sh\n' >rootfs/bin/tool
  chmod 4755 rootfs/bin/tool
  mkfifo rootfs/dev/initctl
  mknod rootfs/dev/null c 1 3
  : >rootfs/var/empty/nothing
  head -c 700000 /dev/urandom >rootfs/var/noise
  truncate -s 3000000 rootfs/var/hole
  setfattr -n user.note -v kept rootfs/etc/hostname 2>/dev/null || true
  echo '{{ container.name }}' >templates/hostname.tpl
  cat >metadata.yaml <<'Y'
architecture: x86_64
creation_date: 1395234589
expiry_date: 4070908800
properties: {architecture: amd64, description: a box for tests, os: debian, release: bookworm, name: box}
templates:
  /etc/hostname: {when: [create, copy], template: hostname.tpl}
Y
  pack -cJf ../unified.tar.xz metadata.yaml rootfs templates
  pack -cJf ../meta.tar.xz metadata.yaml templates
  pack -C rootfs -czf ../rootfs.tar.gz .
  for comp in gzip xz zstd; do
    mksquashfs rootfs "../rootfs.$comp.squashfs" -comp $comp -b 64K -noappend -quiet -no-progress >>"$dir/out" 2>&1
  done
  head -c 60000000 /dev/urandom >rootfs/var/large
  pack -czf ../large.tar.gz metadata.yaml rootfs templates
  pack -C rootfs -czf ../large-rootfs.tar.gz .
  rm rootfs/var/large
  cd "$dir"
  {
    lxc image import unified.tar.xz --alias box/unified
    lxc image import meta.tar.xz rootfs.tar.gz --alias box/split
    lxc image import meta.tar.xz rootfs.gzip.squashfs --alias squash --public
    lxc image import meta.tar.xz rootfs.xz.squashfs --alias squash-xz
    lxc image import meta.tar.xz rootfs.zstd.squashfs --alias squash-zstd
    lxc image import large.tar.gz --alias large --public
    lxc image import meta.tar.xz large-rootfs.tar.gz --alias large-split --public
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp384r1 -nodes -keyout client.key \
      -out client.crt -days 3650 -subj /CN=test
    lxc config trust add client.crt
  } >>"$dir/out" 2>&1 </dev/null
  echo "CERTIFICATE=$(openssl x509 -in "$LXD_DIR/server.crt" -outform der | sum)"
  echo "UNIFIED=$(sum unified.tar.xz)"
  echo "SPLIT=$(sum meta.tar.xz rootfs.tar.gz)"
  echo "SQUASH=$(sum meta.tar.xz rootfs.gzip.squashfs)"
  echo "LARGE=$(sum large.tar.gz)"
  trap - EXIT;;
know)
  cp "$dir/$1.crt" "$LXD_CONF/servercerts/$1.crt"
  public=--public
  [ "$3" = lxd ] || public=
  lxc remote add "$1" "$2" --protocol "$3" $public </dev/null >>"$dir/out" 2>&1;;
lxc)
  cd "$dir"
  timeout 120 lxc "$@" </dev/null 2>>"$dir/out";;
kill) end KILL;;
again) run;;
stop)
  end TERM
  unmount;;
*)
  exit 2;;
esac
