import type { PreparedBundle } from '../core/prepared-bundle.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { buildIndex, readSegment, type SegmentReader } from './content-index.ts'

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
