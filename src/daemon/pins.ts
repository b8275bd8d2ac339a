import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Pin, type PinsFile, pinsFile } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'

const pathOf = (home: string) => join(home, 'pins.json')

/** The releases that `prune` never touches, by key and number. Throws STORE_INVALID. */
export async function readPins(home: string): Promise<readonly Pin[]> {
  const text = await readFile(pathOf(home), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return []
  try {
    return pinsFile.parse(JSON.parse(text)).pins
  } catch (cause) {
    return fail('STORE_INVALID', `"${pathOf(home)}" is no list of pins`, {
      hints: [
        'nothing is pruned while it cannot be read: restore it, or move it away and pin again',
      ],
      cause,
    })
  }
}

/** Keeps the pins for which `keeps` holds, and `more`. True when that changed anything. Its caller owns the store. */
export async function changePins(
  home: string,
  keeps: (pin: Pin) => boolean,
  more: readonly Pin[] = [],
): Promise<boolean> {
  const before = await readPins(home)
  const same = (a: Pin, b: Pin) => a.key === b.key && a.release === b.release
  const added = more.filter(pin => !before.some(one => same(one, pin)))
  const after = [...before.filter(keeps), ...added]
  if (after.length === before.length && added.length === 0) return false
  const file: PinsFile = { format: 0, pins: after }
  await writeFileAtomic(pathOf(home), `${JSON.stringify(file, null, 2)}\n`)
  return true
}
