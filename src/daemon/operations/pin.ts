import type { WorkRecord } from '../../../schemas/index.ts'
import { readSeen } from '../../archive/seen.ts'
import { fail } from '../../core/errors.ts'
import { parseReference } from '../../core/reference.ts'
import type { Settings } from '../../core/settings.ts'
import { changePins, readPins } from '../pins.ts'
import { resolveKey, withHome } from './open-source.ts'

export interface PinResult {
  readonly key: string
  readonly release: number
  /** False when it was so already. */
  readonly changed: boolean
}

export interface PinList {
  readonly pins: readonly {
    readonly key: string
    readonly name: string | null
    readonly release: number
  }[]
}

/**
 * Pins a release of this home (the newest that is here, when none is named), or takes its pin away: `prune` never
 * touches a pinned one. Throws NOT_FOUND, NO_PEER, STORE_BUSY.
 */
export async function* pin(
  settings: Settings,
  ref: string,
  how: 'add' | 'rm',
): AsyncGenerator<WorkRecord, PinResult> {
  return yield* withHome(settings, async function* (home) {
    const reference = await resolveKey(home, parseReference(ref))
    const { key } = reference
    yield* []
    const release =
      typeof reference.release === 'number' && how === 'rm'
        ? reference.release
        : await releaseOf(home, reference)
    const isIt = (one: { key: string; release: number }) =>
      one.key === key && one.release === release
    const changed =
      how === 'add'
        ? await changePins(settings.home, () => true, [{ key, release }])
        : await changePins(settings.home, one => !isIt(one))
    if (how === 'rm' && !changed)
      fail('NOT_FOUND', `release ${release} of ${key} is not pinned`, { hints: ['repro pin ls'] })
    return { key, release, changed }
  })
}

type AnyHome = Parameters<Parameters<typeof withHome>[1]>[0]

async function releaseOf(
  home: AnyHome,
  reference: Awaited<ReturnType<typeof resolveKey>>,
): Promise<number> {
  const opened = await home.open(reference, { network: 'never', history: 'cheap' })
  try {
    return opened.record.release
  } finally {
    await opened.close()
  }
}

/** All pins of this home. The store need not be free. */
export async function listPins(settings: Settings): Promise<PinList> {
  const pins: PinList['pins'][number][] = []
  for (const { key, release } of await readPins(settings.home)) {
    const { name = null } = await readSeen(settings.home, key)
    pins.push({ key, name, release })
  }
  return { pins }
}
