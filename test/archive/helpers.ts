import { lstatSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { FileEntry, IndexEntry, Manifest, WorkRecord } from '../../schemas/index.ts'
import type { Bundle, BundleStore } from '../../src/archive/bundle.ts'
import { buildIndex } from '../../src/archive/content-index.ts'
import { openStore } from '../../src/archive/store.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import type { PublishOptions, PublishResult } from '../../src/core/home.ts'
import type { PreparedBundle } from '../../src/core/prepared-bundle.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { formatFileState } from '../../src/system/file-state.ts'
import { openSeed } from '../../src/system/seed.ts'

/** What a test puts into a folder: text or bytes, `{ run }` for an executable, `{ link }`, `{ folder: true }`. */
export type Content =
  | string
  | Uint8Array
  | { readonly run: string }
  | { readonly link: string }
  | { readonly folder: true }
export type Files = Readonly<Record<string, Content>>

/** A folder that is removed when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'repro-archive-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export async function openHome(home?: string): Promise<{ home: string; store: BundleStore }> {
  const folder = home ?? (await temporaryFolder())
  const store = await openStore(folder, await openSeed(folder))
  onTestFinished(() => store.close())
  return { home: folder, store }
}

export async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const full = join(folder, path)
    await mkdir(dirname(full), { recursive: true })
    if (typeof content === 'string' || content instanceof Uint8Array) await writeFile(full, content)
    else if ('run' in content) {
      await writeFile(full, content.run)
      await chmod(full, 0o755)
    } else if ('link' in content) await symlink(content.link, full)
    else await mkdir(full, { recursive: true })
  }
}

export function entryOf(path: string, content: Content): IndexEntry {
  if (typeof content === 'object' && 'link' in content)
    return { path, type: 'link', target: content.link }
  if (typeof content === 'object' && 'folder' in content) return { path, type: 'folder' }
  const run = typeof content === 'object' && 'run' in content
  const bytes = Buffer.from(run ? content.run : (content as string | Uint8Array))
  return {
    path,
    type: 'file',
    size: bytes.length,
    ...(run ? { executable: true as const } : {}),
    blake3: blake3(bytes),
  }
}

/** What the author room makes of a folder, made by hand. */
export async function prepare(
  files: Files,
  changes: Partial<Manifest> = {},
): Promise<PreparedBundle> {
  const folder = await temporaryFolder()
  await writeFiles(folder, files)
  const all = Object.entries(files)
    .map(([path, content]) => entryOf(path, content))
    .sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
  return prepareEntries(folder, all, changes)
}

export function prepareEntries(
  folder: string,
  all: readonly IndexEntry[],
  changes: Partial<Manifest> = {},
): PreparedBundle {
  const { root, segments } = buildIndex(all)
  const manifest: Manifest = {
    format: 0,
    name: 'test-bundle',
    authors: [],
    keywords: [],
    cites: [],
    images: {},
    apps: {},
    index: root,
    ...changes,
  }
  const manifestText = canonicalJson(manifest)
  return {
    identity: {
      key: null,
      release: null,
      tag: null,
      contentHash: `blake3:${blake3(manifestText)}`,
      date: null,
    },
    manifest,
    manifestText,
    all,
    segments,
    locate: (file: FileEntry) => join(folder, file.path),
    source: ({ path, size }: FileEntry) => {
      const absolute = join(folder, path)
      return { path, absolute, size, state: formatFileState(lstatSync(absolute, { bigint: true })) }
    },
    async *entries() {
      yield* all
    },
    async *fetch() {},
    async *read() {
      yield new Uint8Array()
    },
  }
}

/** Runs a generator to its end: its records and what it returns. */
export async function drain<T>(
  work: AsyncGenerator<WorkRecord, T>,
): Promise<{ records: WorkRecord[]; result: T }> {
  const records: WorkRecord[] = []
  for (;;) {
    const { done, value } = await work.next()
    if (done) return { records, result: value }
    records.push(value)
  }
}

export async function publish(
  bundle: Bundle,
  files: Files,
  options: Omit<PublishOptions, 'key'> = {},
): Promise<PublishResult> {
  return (await drain(bundle.publish(await prepare(files), options))).result
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

export async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await all(chunks))
}

/** Connects two stores in this process, over a Noise-encrypted stream; returns what cuts the wire. */
export function connect(a: BundleStore, b: BundleStore): () => void {
  const left = a.replicate(true)
  const right = b.replicate(false)
  for (const stream of [left, right]) stream.on('error', () => undefined)
  left.pipe(right).pipe(left)
  const cut = () => {
    left.destroy()
    right.destroy()
  }
  onTestFinished(cut)
  return cut
}

/** The code of the error that `work` ends with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
  return 'no error'
}
