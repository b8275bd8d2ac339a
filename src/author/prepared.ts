import { createReadStream } from 'node:fs'
import type { FileEntry, Manifest } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import type { SourceFile } from '../core/source-file.ts'
import type { TreeIndex } from './tree-index.ts'

export interface PreparedParts {
  readonly manifest: Manifest
  readonly manifestText: string
  readonly contentHash: string
  readonly index: Pick<TreeIndex, 'entries' | 'segments'>
  readonly files: readonly SourceFile[]
}

/** A prepared folder as everything else reads releases: no key, no number, and nothing to fetch. */
export function preparedBundle(parts: PreparedParts): PreparedBundle {
  const { manifest, manifestText, contentHash, index } = parts
  let sources: ReadonlyMap<string, SourceFile> | undefined
  const source = (file: FileEntry): SourceFile => {
    sources ??= new Map(parts.files.map(one => [one.path, one]))
    return sources.get(file.path) ?? fail('NOT_FOUND', `the bundle has no file "${file.path}"`)
  }
  return {
    identity: { key: null, release: null, tag: null, contentHash, date: null },
    manifest,
    manifestText,
    get all() {
      return index.entries
    },
    get segments() {
      return index.segments
    },
    locate: file => source(file).absolute,
    source,
    async *entries(prefix = '') {
      for (const entry of index.entries)
        if (prefix === '' || entry.path === prefix || entry.path.startsWith(`${prefix}/`))
          yield entry
    },
    async *fetch() {},
    async *extents(files) {
      yield files.map(file => {
        const { absolute } = source(file)
        return { file, extents: [{ path: absolute, offset: 0, length: file.size }] }
      })
    },
    read: (file, signal) => createReadStream(source(file).absolute, signal ? { signal } : {}),
  }
}
