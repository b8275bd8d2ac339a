import type { FileEntry, IndexEntry, Manifest, WorkRecord } from '../../../schemas/index.ts'
import { isReserved } from '../../core/archive-path.ts'
import { fail } from '../../core/errors.ts'
import { compilePatterns } from '../../core/glob.ts'
import { parseReference } from '../../core/reference.ts'
import type { ReleaseIdentity, ReleaseSource } from '../../core/release-source.ts'
import type { Settings } from '../../core/settings.ts'
import { nearest } from '../../core/text.ts'
import { createBlake3 } from '../../system/blake3.ts'
import { type OpenSourceOptions, withSource } from './open-source.ts'

export interface LookOptions {
  /** Asks no peer. */
  readonly offline?: boolean
  readonly signal?: AbortSignal
}

export interface Inspection {
  readonly identity: ReleaseIdentity
  readonly manifest: Manifest
}

export interface LsOptions extends LookOptions {
  /** Hides nothing. */
  readonly all?: boolean
}

export interface Listing {
  readonly identity: ReleaseIdentity
  readonly entries: number
  readonly bytes: number
  /** How many of the entries are repro's own, and so not shown to people who did not ask for them. */
  readonly hidden: number
}

/** The manifest of a release, and nothing else of it. Throws what opening a release throws. */
export async function* inspect(
  settings: Settings,
  ref: string,
  options: LookOptions = {},
): AsyncGenerator<WorkRecord, Inspection> {
  return yield* withSource(
    settings,
    parseReference(ref),
    opening(options),
    async function* (source) {
      yield* []
      return { identity: source.identity, manifest: source.manifest }
    },
  )
}

/**
 * Yields an `entry` record for each path of a release, with the line of the content index in `data`, and beside it
 * `hidden: true` for what lies below `.repro/` (images), unless `all` or a pattern asks for that. `patterns` choose among them; a plain path fetches only the part of the index that holds it.
 */
export async function* ls(
  settings: Settings,
  ref: string,
  patterns: readonly string[] = [],
  options: LsOptions = {},
): AsyncGenerator<WorkRecord, Listing> {
  const wanted = compilePatterns(patterns)
  const showsOurs = options.all === true || patterns.some(pattern => isReserved(trim(pattern)))
  const only = patterns.length === 1 && !/[*?]/.test(patterns[0]!) ? trim(patterns[0]!) : undefined
  return yield* withSource(
    settings,
    parseReference(ref),
    opening(options),
    async function* (source) {
      let entries = 0
      let bytes = 0
      let hidden = 0
      for await (const entry of source.entries(only)) {
        options.signal?.throwIfAborted()
        if (patterns.length > 0 && !wanted(entry.path)) continue
        entries++
        if (entry.type === 'file') bytes += entry.size
        const isHidden = !showsOurs && isReserved(entry.path)
        if (isHidden) hidden++
        const mark = isHidden ? { hidden: true } : {}
        yield { action: 'entry', subject: entry.path, data: { ...entry, ...mark } }
      }
      if (patterns.length > 0 && entries === 0)
        fail('NOT_FOUND', `nothing in this release matches "${patterns.join('" or "')}"`)
      return { identity: source.identity, entries, bytes, hidden }
    },
  )
}

/**
 * Yields the bytes of one file as `stdout` records (`data.bytes`), fetching nothing else. The first of them comes
 * when the whole file is known to have the hash that the index gives. Throws NOT_FOUND, HASH_MISMATCH.
 */
export async function* cat(
  settings: Settings,
  ref: string,
  path: string,
  options: LookOptions = {},
): AsyncGenerator<WorkRecord, FileEntry> {
  return yield* withSource(
    settings,
    parseReference(ref),
    opening(options),
    async function* (source) {
      const file = await findFile(source, trim(path))
      yield* source.fetch([file], options.signal)
      await prove(source, file, options.signal)
      for await (const bytes of source.read(file, options.signal))
        yield { action: 'stdout', subject: file.path, data: { bytes } }
      return file
    },
  )
}

/** How looking opens a release: what is here, or else what a peer has. */
function opening({ offline, signal }: LookOptions): OpenSourceOptions {
  return { network: offline ? 'never' : 'missing', ...(signal ? { signal } : {}) }
}

async function findFile(source: ReleaseSource, path: string): Promise<FileEntry> {
  const under: string[] = []
  for await (const entry of source.entries(path)) {
    if (entry.path === path) return followLink(entry)
    if (under.length < 3) under.push(entry.path)
  }
  if (under.length > 0)
    fail('USAGE', `"${path}" is a folder`, {
      hints: under.map(below => `it holds "${below}"`),
    })
  const others: string[] = []
  for await (const entry of source.entries()) if (others.length < 10_000) others.push(entry.path)
  const near = nearest(path, others)
  return fail('NOT_FOUND', `there is no file "${path}" in this release`, {
    hints: near ? [`did you mean "${near}"?`] : ['repro ls shows its files'],
  })
}

function followLink(entry: IndexEntry): FileEntry {
  if (entry.type === 'file') return entry
  return fail(
    'USAGE',
    entry.type === 'link'
      ? `"${entry.path}" is a link to "${entry.target}"`
      : `"${entry.path}" is an empty folder`,
  )
}

/** Reads a file once and throws HASH_MISMATCH unless it is what the index says. */
async function prove(source: ReleaseSource, file: FileEntry, signal?: AbortSignal): Promise<void> {
  const hasher = createBlake3()
  for await (const bytes of source.read(file, signal)) hasher.update(bytes)
  if (hasher.hex() === file.blake3) return
  fail('HASH_MISMATCH', `"${file.path}" has other bytes than its hash says`, {
    hints: ['repro verify shows what else is damaged here'],
    data: { path: file.path },
  })
}

const trim = (path: string) => path.replace(/^\.?\//, '').replace(/\/+$/, '')
