import type Hyperdrive from 'hyperdrive'
import type { SeenFile } from '../../schemas/index.ts'
import { fail, ReproError } from '../core/errors.ts'
import { RELEASES_FOLDER, releaseOfPath } from './drive-paths.ts'
import type { DriveEntry, DriveView } from './drive-view.ts'
import { MAX_RELEASES } from './limits.ts'
import type { Patience } from './patience.ts'

/** The entries of the release records that a drive has at one length, by number. Throws RECORD_INVALID for too many. */
export async function listRecords(view: DriveView): Promise<Map<number, DriveEntry>> {
  const records = new Map<number, DriveEntry>()
  for await (const entry of view.list(RELEASES_FOLDER)) {
    const release = releaseOfPath(entry.path)
    if (release === null) continue
    if (release > MAX_RELEASES)
      fail('RECORD_INVALID', `the drive names release ${release}, at most ${MAX_RELEASES} are read`)
    records.set(release, entry)
  }
  return records
}

/**
 * Looks at every block from `from` to `length` for puts and dels of records; adds what it finds to `seen`.
 * Offline it ends at the first block that is not here.
 */
export async function scanRecords(
  drive: Hyperdrive,
  from: number,
  length: number,
  patience: Patience,
  seen: SeenFile,
): Promise<SeenFile> {
  const puts = { ...seen.puts }
  const faults = { ...seen.faults }
  let scanned = from
  const view = drive.checkout(length)
  const ahead = patience.offline ? null : drive.core.download({ start: from, end: length })
  try {
    const history = view.db.createHistoryStream({ gte: from, lt: length, ...patience.options })
    for await (const { type, seq, key } of patience.each(history)) {
      scanned = seq + 1
      const path = /^files\0\/(.*)$/s.exec(key)?.[1]
      const release = path === undefined ? null : releaseOfPath(path)
      if (release === null || release > MAX_RELEASES) continue
      if (type === 'del') faults[release] ??= 'its record was deleted'
      else if (puts[release] === undefined) puts[release] = seq
      else if (puts[release] !== seq) faults[release] ??= 'its record was written again'
    }
  } catch (error) {
    if (!patience.offline || !isAbsent(error)) throw error
  } finally {
    ahead?.destroy()
    await view.close()
  }
  return { ...seen, scanned, puts, faults }
}

/** True for what is not here and was not asked from peers. */
export const isAbsent = (error: unknown) => error instanceof ReproError && error.code === 'NO_PEER'
