/** Where the bundle appears inside of every image; also the working directory. */
export const INSIDE = '/repro/bundle'

/**
 * Folders that every unpacked image has as real, own folders, whatever it held there: runtimes mount over them.
 * They and what lies below them stand outside of the tree hash.
 */
export const MOUNT_POINTS = ['/proc', '/dev', '/sys', '/tmp', '/run', '/repro', INSIDE] as const
