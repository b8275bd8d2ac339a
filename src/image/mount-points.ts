/**
 * Folders that every unpacked image has as real, own folders, whatever it held there: runtimes mount over them.
 * They and what lies below them stand outside of the tree hash.
 */
export const MOUNT_POINTS = [
  '/proc',
  '/dev',
  '/sys',
  '/tmp',
  '/run',
  '/repro',
  '/repro/bundle',
] as const

const TOPS = new Set(MOUNT_POINTS.map(path => path.split('/')[1]!))

/** True when `name`, a name in the root folder of an image, stands outside of the tree hash. */
export function isMountPoint(name: string): boolean {
  return TOPS.has(name)
}
