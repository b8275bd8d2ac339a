import type { ReleaseRecord } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import type { Selection } from '../core/reference.ts'
import { type ExaminedRelease, type History, rewritten } from './history.ts'

/**
 * The release that is asked for, if nothing speaks against it. Without a number or tag: the newest valid one,
 * unless a newer one was rewritten. Throws NOT_FOUND, HASH_MISMATCH and the release's own fault.
 */
export async function chooseRelease(
  history: History,
  selection: Selection,
): Promise<ReleaseRecord> {
  const record = await choose(history, selection.release)
  if (selection.hash !== undefined && record.contentHash !== selection.hash)
    fail(
      'HASH_MISMATCH',
      `release ${record.release} of "${history.key}" has the content ${record.contentHash}, expected ${selection.hash}`,
      {
        hints: ['the reference names another content: ask whoever gave it to you'],
        data: { expected: selection.hash, found: record.contentHash },
      },
    )
  return record
}

/** Faults of a newer release that keep an older one from standing in for it. */
const DECISIVE = new Set<string>(['HISTORY_REWRITTEN', 'NO_PEER'])

async function choose(
  history: History,
  release: number | string | undefined,
): Promise<ReleaseRecord> {
  if (history.numbers.length === 0)
    fail('NOT_FOUND', `"${history.key}" has no release`, {
      hints: ['check the key; if it is right, its author has not published yet'],
    })
  if (typeof release === 'number') {
    const found = await history.examine(release)
    return found ? trusted(found) : notFound(history, `release ${release}`)
  }
  if (typeof release === 'string') return await byTag(history, release)
  let newest: ExaminedRelease | null = null
  for (const number of [...history.numbers].reverse()) {
    const found = (await history.examine(number))!
    newest ??= found
    if (found.record && !found.fault) return found.record
    if (found.fault && DECISIVE.has(found.fault.code)) throw found.fault
  }
  return trusted(newest!)
}

async function byTag(history: History, tag: string): Promise<ReleaseRecord> {
  const all = await history.examineAll()
  const tagged = all.filter(one => one.record?.tag === tag)
  const first = tagged[0]
  const absent = all.find(one => one.fault?.code === 'NO_PEER')
  if (!first && absent?.fault) throw absent.fault
  if (!first) return notFound(history, `release with the tag "${tag}"`, all)
  const again = tagged[1]
  if (again)
    throw again.fault ?? rewritten(history.key, again.release, `its tag "${tag}" was used before`)
  return trusted(first)
}

function trusted(found: ExaminedRelease): ReleaseRecord {
  if (found.fault) throw found.fault
  return found.record ?? fail('RECORD_INVALID', `release ${found.release} has no record`)
}

function notFound(history: History, what: string, all: readonly ExaminedRelease[] = []): never {
  const tags = all.map(one => one.record?.tag).filter(tag => tag !== undefined)
  fail('NOT_FOUND', `"${history.key}" has no ${what}`, {
    hints: [
      `its releases are 1 to ${history.numbers.length}${tags.length ? `, its tags ${tags.join(', ')}` : ''}`,
      `list them: repro log ${history.key}`,
    ],
  })
}
