/**
 * Process that becomes the runtime, in a mount namespace of its own where the host's /dev is read-only. Devices can
 * still be written; their modes, owners and times cannot be changed, which root could else do through every bind.
 */
const SCRIPT = `
while read -r _ _ _ _ point _; do
  case $point in /dev | /dev/null | /dev/zero | /dev/full | /dev/random | /dev/urandom | /dev/tty)
    mount -o remount,bind,ro,nosuid none "$point" 2>/dev/null ||
      mount -o remount,bind,ro,nosuid,noexec none "$point" ;;
  esac
done </proc/self/mountinfo
exec "$@"
`

/** How the namespace is made: as root of the host, or as root of a new user namespace. */
export type DeviceSeal = 'mount' | 'user'

/** The words before a runtime's own command line that make the host's devices read-only for it. */
export function sealDevices(seal: DeviceSeal, unshare: string, sh: string): string[] {
  return [
    ...[unshare, ...(seal === 'user' ? ['--user', '--map-root-user'] : [])],
    ...['--mount', '--propagation', 'private', '--', sh, '-ec', SCRIPT, 'repro-devices'],
  ]
}
