import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { z } from 'zod'
import { blake3 } from './blake3.ts'

const MAGIC = 'repro stat cache 1\n'
const HASH_HEX = 64
const HASH_BYTES = 32
const MODE_BYTES = 4
const NO_HASH = '0'.repeat(HASH_HEX)
/** Of each entry: whether its hash is known, and whether it bears the mark. */
const HASHED = 1
const MARKED = 2
const MAX_FILE_BYTES = 1 << 29
const header = z.strictObject({
  folder: z.string(),
  /** The clock when it was written: a clock that stands before that was set back. */
  writtenMs: z.number(),
  marks: z.string(),
  memo: z.string().nullable(),
  count: z.number().int().nonnegative(),
  pathBytes: z.number().int().nonnegative(),
  stateBytes: z.number().int().nonnegative(),
})

/** What a file of the cache says. */
export interface Known {
  readonly entries: ReadonlyMap<string, Entry>
  readonly memo: string | null
}

/** What is known of one file of a folder. */
export interface Entry {
  readonly state: string
  readonly mode: number
  readonly blake3: string | null
  readonly marked: boolean
}

/** The bytes of a cache: columns of what is known, under a BLAKE3 of their own. */
export function encodeKnown(
  kept: readonly [string, Entry][],
  about: Omit<z.infer<typeof header>, 'count' | 'pathBytes' | 'stateBytes'>,
): Buffer {
  const { folder, writtenMs, marks, memo } = about
  const count = kept.length
  let pathBytes = Math.max(0, count - 1)
  let stateBytes = pathBytes
  for (const [path, { state }] of kept) {
    pathBytes += Buffer.byteLength(path)
    stateBytes += state.length
  }
  const head = {
    folder: folder,
    writtenMs: writtenMs,
    marks: marks,
    memo,
    count,
    pathBytes,
    stateBytes,
  } satisfies z.infer<typeof header>
  const start = MAGIC.length + HASH_HEX + 1
  const line = Buffer.from(`${JSON.stringify(head)}\n`)
  const pathsAt = start + line.length
  const flagsAt = pathsAt + pathBytes + stateBytes
  const modesAt = flagsAt + count
  const hashesAt = modesAt + count * MODE_BYTES
  // There may be a million: each is written where it goes.
  const whole = Buffer.alloc(hashesAt + count * HASH_BYTES, '\n')
  line.copy(whole, start)
  let pathAt = pathsAt
  let stateAt = pathsAt + pathBytes
  kept.forEach(([path, { state, mode, blake3, marked }], i) => {
    pathAt += whole.write(path, pathAt) + 1
    stateAt += whole.write(state, stateAt, 'latin1') + 1
    whole[flagsAt + i] = (blake3 === null ? 0 : HASHED) | (marked ? MARKED : 0)
    whole.writeUInt32LE(mode, modesAt + i * MODE_BYTES)
    whole.write(blake3 ?? NO_HASH, hashesAt + i * HASH_BYTES, 'hex')
  })
  whole.write(`${MAGIC}${blake3(whole.subarray(start))}\n`, 'latin1')
  return whole
}

/** What the file at a path says of a folder; null when it cannot be believed. Never throws. */
export async function readKnown(
  path: string,
  folder: string,
  marks: string,
  nowMs: number,
): Promise<Known | null> {
  const bytes = await readOwn(path)
  const start = MAGIC.length + HASH_HEX + 1
  if (bytes === null || bytes.length < start) return null
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return null
  const body = bytes.subarray(start)
  if (bytes.toString('latin1', MAGIC.length, start - 1) !== blake3(body)) return null
  const end = body.indexOf('\n')
  const head = header.safeParse(parseJson(body.toString('utf8', 0, Math.max(end, 0)))).data
  if (!head || head.folder !== folder || head.writtenMs > nowMs) return null
  const entries = entriesOf(body.subarray(end + 1), head, head.marks === marks)
  return entries && { entries, memo: head.memo }
}

function entriesOf(
  body: Buffer,
  { count, pathBytes, stateBytes }: z.infer<typeof header>,
  marksCount: boolean,
): Map<string, Entry> | null {
  const flagsAt = pathBytes + stateBytes
  const modesAt = flagsAt + count
  const hashesAt = modesAt + count * MODE_BYTES
  if (body.length !== hashesAt + count * HASH_BYTES) return null
  const entries = new Map<string, Entry>()
  if (count === 0) return entries
  const paths = body.toString('utf8', 0, pathBytes).split('\n')
  const states = body.toString('latin1', pathBytes, flagsAt).split('\n')
  const hashes = body.toString('hex', hashesAt)
  if (paths.length !== count || states.length !== count) return null
  for (let i = 0; i < count; i++) {
    const flags = body[flagsAt + i]!
    entries.set(paths[i]!, {
      state: states[i]!,
      mode: body.readUInt32LE(modesAt + i * MODE_BYTES),
      blake3: flags & HASHED ? hashes.slice(i * HASH_HEX, (i + 1) * HASH_HEX) : null,
      marked: marksCount && (flags & MARKED) !== 0,
    })
  }
  return entries
}

/** The bytes of a file that only this user could have written; null for any other, and for what is not there. */
async function readOwn(path: string): Promise<Buffer | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const handle = await open(path, flags).catch(() => null)
  if (handle === null) return null
  try {
    const stats = await handle.stat()
    const own = stats.isFile() && stats.uid === process.geteuid!() && (stats.mode & 0o077) === 0
    return own && stats.size <= MAX_FILE_BYTES ? await handle.readFile() : null
  } catch {
    return null
  } finally {
    await handle.close()
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
