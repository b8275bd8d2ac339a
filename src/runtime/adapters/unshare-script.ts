/**
 * What the embedded runtime executes as process 1 of new user, mount, pid, ipc, uts (and network) namespaces.
 * Every value comes as an argument; nothing is pasted into the text.
 *
 * The root of the mount namespace becomes a tmpfs that holds the host's programs read-only and nothing else of the
 * host; the image lies in it under a name that cannot be guessed, so that a stranger's LD_PRELOAD cannot name a file
 * of the image while the last program of the host is loaded. The app gets its own user namespace below, so it has
 * no rights over these mounts; the shell stays as process 1, so that signals have their usual meaning for the app.
 * That is the last user namespace: in one of its own the app would have rights again, over a /proc of its own.
 */
export const UNSHARE_SCRIPT = `
base=$1 rootfs=$2 bundle=$3 inside=$4 out=$5 out_inside=$6 tmp=$7 uid=$8 gid=$9
shift 9
hidden=$1
shift
seal() {
  mount -o remount,bind,ro,nosuid,nodev none "$1" 2>/dev/null ||
    mount -o remount,bind,ro,nosuid,nodev,noexec none "$1"
}
seal_below() {
  while read -r _ _ _ _ point _; do
    point=$(printf '%b' "$point")
    case $point in "$1"/*) seal "$point" ;; esac
  done </proc/self/mountinfo
  seal "$1"
}
writable() {
  mount --rbind "$1" "$2"
  mount -o remount,bind,nosuid,nodev none "$2" 2>/dev/null ||
    mount -o remount,bind,nosuid,nodev,noexec none "$2"
}
mount -t tmpfs -o mode=755 repro "$base"
cd "$base"
for name in usr bin sbin lib lib32 lib64 libx32 nix gnu; do
  if [ -L "/$name" ]; then
    ln -s "$(readlink "/$name")" "$name"
  elif [ -d "/$name" ]; then
    mkdir "$name"
    mount --rbind "/$name" "$name"
    seal_below "$base/$name"
  fi
done
mkdir proc old
mount -t proc proc proc
echo 1 2>/dev/null >proc/sys/user/max_user_namespaces || :
for name in sys sysrq-trigger; do
  if [ -e "proc/$name" ]; then mount --bind -o ro,nosuid,nodev,noexec "proc/$name" "proc/$name"; fi
done
root=$(mktemp -d "$base/XXXXXXXXXXXXXXXX")
mount --rbind "$rootfs" "$root"
mount -t tmpfs -o mode=755 dev "$root/dev"
for name in null zero full random urandom tty; do
  : >"$root/dev/$name"
  mount --bind -o ro,nosuid "/dev/$name" "$root/dev/$name" 2>/dev/null ||
    mount --bind -o ro,nosuid,noexec "/dev/$name" "$root/dev/$name"
done
mount -t proc -o ro,nosuid,nodev,noexec proc "$root/proc"
for name in $hidden; do
  if [ -d "$root/proc/$name" ]; then
    mount -t tmpfs -o ro,mode=755 hidden "$root/proc/$name"
  elif [ -e "$root/proc/$name" ]; then
    mount --bind -o ro,nosuid,nodev,noexec "$root/dev/null" "$root/proc/$name"
  fi
done
mount -t tmpfs -o ro,nosuid,nodev,noexec,mode=755 sys "$root/sys"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
mount -t tmpfs -o mode=755 run "$root/run"
writable "$tmp" "$root/tmp"
mount -t tmpfs -o mode=755 repro "$root/repro"
mkdir -p "$root$inside"
mount --rbind "$bundle" "$root$inside"
seal_below "$root$inside"
writable "$out" "$root$out_inside"
count=$1
shift
while [ "$count" -gt 0 ]; do
  target=$root$2
  mkdir -p "\${target%/*}"
  if [ -d "$1" ]; then mkdir -p "$target"; else : >"$target"; fi
  mount --rbind "$1" "$target"
  seal_below "$target"
  shift 2
  count=$((count - 1))
done
mount -o remount,ro,mode=755 none "$root/repro"
seal "$root"
hostname repro 2>/dev/null || :
ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || :
pivot_root . old
cd /
umount -l /old
root=/\${root##*/}
env=$1 unshare=$2 count=$3
shift 3
set -- "$unshare" --user "--map-user=$uid" "--map-group=$gid" "--root=$root" "--wd=$inside" -- "$@"
count=$((count + 7))
while [ "$count" -gt 0 ]; do
  word=$1
  shift
  set -- "$@" "$word"
  count=$((count - 1))
done
printf . >&3
"$env" -i "$@" 3>&- && exit 0 || exit $?
`
