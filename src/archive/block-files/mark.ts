import type { Database } from 'hypercore-storage'
import { fail } from '../../core/errors.ts'

/** Outside of the key space of Hypercore, whose keys begin with a number below 7. */
const MARK_KEY = Buffer.from('repro/blocks')
const FORMAT = 1

/** Which block values of a store begin with a tag: none, those up to and with a key, or all. */
export interface Mark {
  readonly tagged: 'none' | 'all' | Buffer
}

export function markTagged({ tagged }: Mark, key: Buffer): boolean {
  if (typeof tagged === 'string') return tagged === 'all'
  return Buffer.compare(key, tagged) <= 0
}

/** The mark of a store; a store without one is a stock store. Throws FORMAT_UNSUPPORTED. */
export async function readMark(db: Database): Promise<Mark> {
  const bytes = await db.get(MARK_KEY)
  if (bytes === null) return { tagged: 'none' }
  const { format, upTo } = JSON.parse(bytes.toString()) as { format?: unknown; upTo?: unknown }
  if (format !== FORMAT)
    fail('FORMAT_UNSUPPORTED', `the store has block files of format ${String(format)}`, {
      hints: ['install a newer version of repro'],
    })
  return { tagged: typeof upTo === 'string' ? Buffer.from(upTo, 'hex') : 'all' }
}

/** The change that stores a mark, for a write batch. */
export function markChange({ tagged }: Mark): [key: Buffer, value: Buffer] {
  const upTo = typeof tagged === 'string' ? {} : { upTo: tagged.toString('hex') }
  return [MARK_KEY, Buffer.from(JSON.stringify({ format: FORMAT, ...upTo }))]
}
