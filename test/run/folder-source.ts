import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type {
  FileEntry,
  IndexEntry,
  Manifest,
  ResolvedApp,
  ResolvedImage,
  ResolvedOutput,
} from '../../schemas/index.ts'
import { buildIndex } from '../../src/archive/content-index.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import type { ReleaseSource } from '../../src/core/release-source.ts'
import type { ImportedImage } from '../../src/image/import-image.ts'
import { blake3 } from '../../src/system/blake3.ts'

export interface Content {
  readonly files: Readonly<Record<string, string | Buffer>>
  readonly executable?: readonly string[]
  readonly links?: Readonly<Record<string, string>>
  readonly folders?: readonly string[]
  readonly images?: Readonly<Record<string, ImportedImage>>
  readonly apps: Readonly<Record<string, Partial<ResolvedApp> & { command: string[] }>>
  readonly identity?: Partial<ReleaseSource['identity']>
}

/** A release in memory, with what was fetched and read from it noted. */
export interface TestSource extends ReleaseSource {
  readonly fetched: string[]
  /** Bytes that `read` gives instead of the right ones. */
  readonly lies: Map<string, Buffer>
}

export function makeSource(content: Content): TestSource {
  const bytes = new Map<string, () => AsyncIterable<Uint8Array>>()
  const entries: IndexEntry[] = []
  for (const [path, text] of Object.entries(content.files)) {
    const data = Buffer.from(text)
    entries.push({
      path,
      type: 'file',
      size: data.length,
      blake3: blake3(data),
      ...(content.executable?.includes(path) ? { executable: true as const } : {}),
    })
    bytes.set(path, async function* () {
      yield data
    })
  }
  for (const [path, target] of Object.entries(content.links ?? {}))
    entries.push({ path, type: 'link', target })
  for (const path of content.folders ?? []) entries.push({ path, type: 'folder' })
  const images: Record<string, ResolvedImage> = {}
  for (const [name, image] of Object.entries(content.images ?? {})) {
    images[name] = image.resolved
    for (const file of image.files) {
      const path = `.repro/images/${name}/${file.path}`
      const disk = join(image.layout, file.path)
      entries.push({ path, type: 'file', size: file.size, blake3: blake3(readFileSync(disk)) })
      bytes.set(path, () => createReadStream(disk) as AsyncIterable<Uint8Array>)
    }
  }
  const index = buildIndex(entries)
  const manifest: Manifest = {
    format: 0,
    name: 'test',
    authors: [],
    keywords: [],
    cites: [],
    images,
    apps: Object.fromEntries(
      Object.entries(content.apps).map(([name, app]) => [name, fullApp(app, entries)]),
    ),
    index: index.root,
  }
  const manifestText = canonicalJson(manifest)
  const fetched: string[] = []
  const lies = new Map<string, Buffer>()
  entries.sort((a, b) => (a.path < b.path ? -1 : 1))
  return {
    identity: {
      key: null,
      release: null,
      tag: null,
      date: null,
      contentHash: `blake3:${blake3(manifestText)}`,
      ...content.identity,
    },
    manifest,
    manifestText,
    fetched,
    lies,
    async *entries(prefix) {
      for (const entry of entries)
        if (prefix === undefined || entry.path === prefix || entry.path.startsWith(`${prefix}/`))
          yield entry
    },
    async *fetch(files: readonly FileEntry[]) {
      fetched.push(...files.map(file => file.path))
      yield { action: 'fetch', status: 'ok', files: files.length }
    },
    async *read(file: FileEntry) {
      const lie = lies.get(file.path)
      if (lie) yield lie
      else yield* bytes.get(file.path)!()
    },
  }
}

function fullApp(
  app: Partial<ResolvedApp> & { command: string[] },
  entries: readonly IndexEntry[],
): ResolvedApp {
  return {
    image: null,
    params: {},
    inputs: { include: ['**'], exclude: ['expected/**'] },
    out: 'out',
    resources: {},
    network: 'none',
    env: {},
    modules: [],
    refuse: [],
    ...app,
    outputs: (app.outputs ?? []).map(output => expecting(output, entries)),
  }
}

/** Adds the hash of `expected/<path>` where the content has such a file. */
function expecting(output: ResolvedOutput, entries: readonly IndexEntry[]): ResolvedOutput {
  const path = `expected/${output.path}`
  const entry = entries.find(one => one.path === path)
  if (output.compare === 'exists' || output.expect || entry?.type !== 'file') return output
  return { ...output, expect: { path, blake3: entry.blake3, size: entry.size } }
}
