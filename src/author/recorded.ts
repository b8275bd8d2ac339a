import { join } from 'node:path'
import { type Manifest, type RecordedFile, recordedFile } from '../../schemas/index.ts'
import { RESERVED } from '../core/archive-path.ts'
import { fail } from '../core/errors.ts'
import { readSideFile } from './bundle-file.ts'
import type { AuthorFault } from './faults.ts'

/** What `repro run . --record` noted in the folder; null when nothing was recorded. Throws CONFIG_INVALID. */
export async function readRecorded(folder: string): Promise<RecordedFile | null> {
  const path = join(folder, RESERVED, 'recorded.json')
  const parsed = await readSideFile(path)
  if (parsed === null) return null
  const result = recordedFile.safeParse(parsed)
  if (result.success) return result.data
  return fail('CONFIG_INVALID', `"${path}" is no note of recorded outputs`, {
    hints: ['delete it, and record again: repro run . --record'],
  })
}

type Resolved = Pick<Manifest, 'apps' | 'images'>

/**
 * Expectations that were recorded under another image than the one that would be published.
 * What the author replaced by hand since is the author's own word, and passes.
 */
export function staleExpectations(
  manifest: Resolved,
  recorded: RecordedFile | null,
): AuthorFault[] {
  return reimaged(manifest, recorded).flatMap(({ name, note, now, outputs }): AuthorFault[] => {
    const stale = outputs.filter(({ path, expect }) => note.outputs[path]!.blake3 === expect.blake3)
    if (stale.length === 0) return []
    const paths = stale.map(output => output.path).join(', ')
    const message = `the expected outputs of the app "${name}" (${paths}) were recorded under the image ${note.image ?? 'of the host'}, and it has ${now ?? 'no image'} now`
    return [
      {
        code: 'EXPECTATION_STALE',
        message,
        hints: [`record them again: repro run . ${name} --record`],
      },
    ]
  })
}

/** The files of the bundle whose hashes decide whether an expectation is stale. */
export function mayBeStale(manifest: Resolved, recorded: RecordedFile | null): string[] {
  return reimaged(manifest, recorded).flatMap(({ outputs }) =>
    outputs.flatMap(({ expect }) => expect.path ?? []),
  )
}

/** The recorded outputs of apps that have another image now. */
function reimaged({ apps, images }: Resolved, recorded: RecordedFile | null) {
  return Object.entries(recorded?.apps ?? {}).flatMap(([name, note]) => {
    const app = Object.hasOwn(apps, name) ? apps[name] : undefined
    if (!app) return []
    const now = app.image === null ? null : (images[app.image]?.digest ?? null)
    if (now === note.image) return []
    const outputs = app.outputs.flatMap(output =>
      'expect' in output && output.expect !== undefined && Object.hasOwn(note.outputs, output.path)
        ? [{ path: output.path, expect: output.expect }]
        : [],
    )
    return [{ name, note, now, outputs }]
  })
}
