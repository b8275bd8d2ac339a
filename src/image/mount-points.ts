import { MOUNT_POINTS } from '../core/mount-points.ts'

const TOPS = new Set(MOUNT_POINTS.map(path => path.split('/')[1]!))

/** True when `name`, a name in the root folder of an image, stands outside of the tree hash. */
export function isMountPoint(name: string): boolean {
  return TOPS.has(name)
}
