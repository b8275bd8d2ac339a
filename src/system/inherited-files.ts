import { readdirSync, readFileSync } from 'node:fs'

const CLOSE_ON_EXEC = 0o2000000

/**
 * File descriptors above stderr that a child would inherit: whoever started us left them open (`flock`, a shell,
 * a service manager). All that Node opens itself closes on exec. Empty where /proc cannot be read.
 */
export function inheritedFiles(): number[] {
  return list('/proc/self/fdinfo')
    .map(Number)
    .filter(fd => fd > 2 && isInherited(fd))
}

function isInherited(fd: number): boolean {
  const flags = /^flags:\s*([0-7]+)/m.exec(read(`/proc/self/fdinfo/${fd}`))?.[1]
  return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // no /proc, as before its first mount
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return '' // closed while we looked, as the listing's own descriptor is
  }
}
