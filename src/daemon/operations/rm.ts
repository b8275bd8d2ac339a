import { join } from 'node:path'
import type { WorkRecord } from '../../../schemas/index.ts'
import { fail } from '../../core/errors.ts'
import { parseReference } from '../../core/reference.ts'
import type { Settings } from '../../core/settings.ts'
import { DiskUsage } from '../../system/disk-usage.ts'
import { Housekeeper } from '../housekeeper.ts'
import { changePins } from '../pins.ts'

export interface RemoveOptions {
  /** Removes the key of an own bundle, too: without an export nobody can ever publish to it again. */
  readonly withKey?: boolean
  /** Asked before an own bundle is removed: its key and name. */
  readonly confirm: (key: string, name: string | null) => Promise<boolean>
  readonly signal?: AbortSignal
}

export interface Removed {
  readonly key: string
  readonly name: string | null
  readonly own: boolean
  /** The key stays in this home: `repro publish` can go on when peers give the history back. */
  readonly keyKept: boolean
  readonly freedBytes: number
}

/**
 * Removes a bundle from this home and frees the disk: its content, its names, its pins, what was seen of it. Safe to
 * kill and to repeat. Throws NOT_FOUND, STORE_BUSY, USAGE when an own bundle was not confirmed.
 */
export async function* remove(
  settings: Settings,
  ref: string,
  { withKey = false, confirm, signal }: RemoveOptions,
): AsyncGenerator<WorkRecord, Removed> {
  const store = join(settings.home, 'store')
  const before = await new DiskUsage().of(store)
  const housekeeper = await Housekeeper.open(settings)
  let done = false
  let removed: Omit<Removed, 'freedBytes'>
  try {
    const { key, release } = await housekeeper.resolve(parseReference(ref))
    if (release !== undefined)
      fail('USAGE', `"${ref}" names a release, and rm removes whole bundles`, {
        hints: [`repro rm ${key}`, `repro prune ${key} drops old releases`],
      })
    await housekeeper.keeper.assertKnown(key)
    const known = (await housekeeper.keeper.store.list()).find(one => one.key === key)
    const own = known?.writable ?? false
    const name = known?.name ?? null
    if (withKey && !own) fail('USAGE', `this home has no key of ${key} that could be removed`)
    if (own && !(await confirm(key, name)))
      fail('USAGE', `${key} was made here and is removed only when that is confirmed`, {
        hints: [
          `first keep its key: repro key export ${key} <file>`,
          `repro rm ${key} --yes${withKey ? ' --with-key' : ''}`,
        ],
        data: { key },
      })
    yield { action: 'entry', subject: key, data: { key, own } }
    await housekeeper.keeper.remove(key, withKey, signal)
    await changePins(settings.home, pin => pin.key !== key)
    await housekeeper.names.forget(key)
    removed = { key, name, own, keyKept: own && !withKey }
    done = true
  } finally {
    if (done) await housekeeper.closeAndCompact()
    else await housekeeper.close()
  }
  return { ...removed, freedBytes: Math.max(0, before - (await new DiskUsage().of(store))) }
}
