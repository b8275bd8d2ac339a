import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '../system/atomic-file.ts'

/** What a checkout knows of a file that it wrote or found right: BLAKE3, and the state it was in (`formatFileState`). */
export interface FileNote {
  readonly blake3: string
  readonly state: string
}

const NOTES_PATH = '.repro/file-states'
const FIRST_LINE = 'repro file states 1'
const MAX_BYTES = 1 << 29
/** A time of change that is not this much later than the time of the content could hide an edit by the same clock tick. */
const SETTLED_NS = 1_000_000_000n

/**
 * What earlier checkouts noted of the files in a folder, by path. It only saves reading: a note that is damaged or gone
 * is empty, and one that does not fit the file any more counts for nothing.
 */
export async function readFileNotes(folder: string): Promise<Map<string, FileNote>> {
  const notes = new Map<string, FileNote>()
  const bytes = await readFile(join(folder, NOTES_PATH)).catch(() => null)
  if (bytes === null || bytes.length > MAX_BYTES) return notes
  const lines = bytes.toString('utf8').split('\n')
  if (lines[0] !== FIRST_LINE) return notes
  for (const line of lines) {
    const [, blake3, state, path] = /^([0-9a-f]{64}) ([0-9:]+) (.+)$/.exec(line) ?? []
    if (path !== undefined) notes.set(path, { blake3: blake3!, state: state! })
  }
  return notes
}

/** Notes the files of a finished checkout, durably: after a crash it tells which of them were ours. */
export async function writeFileNotes(
  folder: string,
  notes: ReadonlyMap<string, FileNote>,
): Promise<void> {
  const lines = [FIRST_LINE]
  for (const [path, { blake3, state }] of notes)
    if (isSettled(state)) lines.push(`${blake3} ${state} ${path}`)
  await writeFileAtomic(join(folder, NOTES_PATH), `${lines.join('\n')}\n`)
}

/**
 * Whether nobody wrote to a file between two looks, by its inode and times: a crash or a bad disk may have changed its
 * bytes and its size all the same.
 */
export function sameWriting(one: string, other: string): boolean {
  const [, inode, , mtime, ctime] = one.split(':')
  const [, otherInode, , otherMtime, otherCtime] = other.split(':')
  return inode === otherInode && mtime === otherMtime && ctime === otherCtime
}

/** Whether a file bears a date: dates go to the disk as fractions of a second, and come back up to 2 ms earlier. */
export function isOfDate(mtimeNs: bigint, date: string): boolean {
  return Math.abs(Number(mtimeNs) / 1e6 - Date.parse(date)) < 2.5
}

function isSettled(state: string): boolean {
  const [, , , mtime, ctime] = state.split(':')
  return BigInt(ctime!) - BigInt(mtime!) > SETTLED_NS
}
