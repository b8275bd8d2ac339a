import { lstat, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { twinKey } from '../core/archive-path.ts'
import { fail } from '../core/errors.ts'
import { temporaryName } from '../system/atomic-file.ts'

/** Pairs of paths, folders included, that are one name where case or Unicode form is ignored. */
export function findTwins(paths: Iterable<string>): [string, string][] {
  const seen = new Map<string, string>()
  const twins: [string, string][] = []
  for (const path of paths) {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const part = path.slice(0, end)
      const key = twinKey(part)
      const other = seen.get(key)
      if (other === part) break
      if (other === undefined) seen.set(key, part)
      else twins.push([other, part])
    }
  }
  return twins
}

/** Throws PATH_UNSAFE when there are twins and the file system of `folder` cannot hold both. */
export async function assertTwinsFit(folder: string, paths: Iterable<string>): Promise<void> {
  const [twins] = findTwins(paths)
  if (!twins || (await tellsTwinsApart(folder))) return
  fail(
    'PATH_UNSAFE',
    `"${twins[0]}" and "${twins[1]}" are one name on the file system of "${folder}"`,
    { hints: ['fetch to a folder on a file system that tells upper from lower case'] },
  )
}

async function tellsTwinsApart(folder: string): Promise<boolean> {
  const probe = temporaryName(join(folder, 'repro-é-probe'))
  await writeFile(probe, '', { flag: 'wx' })
  try {
    const twins = [
      probe.replace('repro-é-probe', 'REPRO-É-PROBE'),
      probe.replace('repro-é-probe', 'repro-é-probe'.normalize('NFD')),
    ]
    for (const twin of twins) {
      if (twin !== probe && (await lstat(twin).catch(() => null))) return false
    }
    return true
  } finally {
    await rm(probe, { force: true })
  }
}
