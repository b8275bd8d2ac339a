import type { IndexEntry } from '../../schemas/index.ts'
import { isReserved, linkFault } from '../core/archive-path.ts'
import { fail } from '../core/errors.ts'
import { IMAGES_FOLDER } from './drive-paths.ts'

/**
 * Entries of a stranger's index, each refused when it would write to repro's own files or point out of the bundle
 * (`readIndex` has checked the form of its path). Throws PATH_UNSAFE, LINK_UNSAFE.
 */
export async function* safeEntries(entries: AsyncIterable<IndexEntry>): AsyncGenerator<IndexEntry> {
  for await (const entry of entries) {
    if (isReserved(entry.path) && !entry.path.startsWith(`${IMAGES_FOLDER}/`))
      fail('PATH_UNSAFE', `the release holds "${entry.path}", which belongs to repro itself`, {
        hints: ['whoever published it used no honest tool: do not use it'],
        data: { path: entry.path },
      })
    if (entry.type === 'link') {
      const fault = linkFault(entry.path, entry.target)
      if (fault)
        fail('LINK_UNSAFE', `the link "${entry.path}" of the release ${fault}`, {
          data: { path: entry.path },
        })
    }
    yield entry
  }
}
