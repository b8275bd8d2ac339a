import type { IndexEntry } from '../../schemas/index.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { buildIndex, readIndex, readSegment, type SegmentReader } from './content-index.ts'
import { safeEntries } from './index-entries.ts'

/** Gives the index segments of any release: asked of its source, or built again from its entries. */
export function segmentsOf(source: ReleaseSource): SegmentReader {
  if (source.segment) return hash => source.segment!(hash)
  const built = (source as Partial<PreparedBundle>).segments ?? null
  let segments: Promise<ReadonlyMap<string, string>> | null = built && Promise.resolve(built)
  return async hash => {
    segments ??= rebuild(source)
    return (await segments).get(hash) ?? null
  }
}

/** The index of a release, read once: its entries as they come, and the text of every segment by BLAKE3. */
export interface KeptIndex {
  entries(): AsyncGenerator<IndexEntry>
  /** All segments, each checked; those that no walk met are read now. Throws HASH_MISMATCH, RECORD_INVALID. */
  texts(): Promise<ReadonlyMap<string, string>>
}

export function keepSegments(source: ReleaseSource): KeptIndex {
  const texts = new Map<string, string>()
  let whole = false
  return {
    async *entries() {
      if (!source.segment) {
        yield* source.entries()
        return
      }
      const read = async (hash: string) => {
        const text = await source.segment!(hash)
        if (text !== null) texts.set(hash, text)
        return text
      }
      yield* safeEntries(readIndex(source.manifest.index, read))
      whole = true
    },
    async texts() {
      if (!whole) for await (const { blake3, text } of allSegments(source)) texts.set(blake3, text)
      return texts
    },
  }
}

/** Every segment of a release by BLAKE3, each checked. Throws HASH_MISMATCH, RECORD_INVALID. */
export async function* allSegments(
  source: ReleaseSource,
): AsyncGenerator<{ readonly blake3: string; readonly text: string }> {
  const read = segmentsOf(source)
  const done = new Set<string>()
  const open = [source.manifest.index.blake3]
  for (let hash = open.pop(); hash !== undefined; hash = open.pop()) {
    if (done.has(hash)) continue
    done.add(hash)
    let text = ''
    const nodes = await readSegment(hash, async wanted => {
      const found = await read(wanted)
      text = found ?? ''
      return found
    })
    yield { blake3: hash, text }
    for (const { segment } of nodes) if (segment) open.push(segment)
  }
}

async function rebuild(source: ReleaseSource): Promise<ReadonlyMap<string, string>> {
  const entries = []
  for await (const entry of source.entries()) entries.push(entry)
  return buildIndex(entries).segments
}
