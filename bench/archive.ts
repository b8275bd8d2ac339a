import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { FIGURES } from './lib/archive-figures.ts'
import { GROUPS } from './lib/archive-groups.ts'
import { type ArchiveResult, judge, type RowResult } from './lib/archive-result.ts'
import { runGroup } from './lib/archive-run.ts'
import { markdownOf } from './lib/archive-table.ts'
import { type Archiver, REPRO, versionOf } from './lib/archivers.ts'

// The archive engine beside restic, borg, bup, mirror-drive, b3sum and cp. See CONTRIBUTING for the flags.
const PLACES = {
  tmpfs: '/dev/shm/repro-bench',
  disk: join(process.cwd(), 'bench/results/tmp/archive'),
}
const TMPFS_MAGIC = 0x01021994
/** The largest that lies there at once: source, stores and copies of the growth row. */
const NEEDED_BYTES = 8e9

const { values } = parseArgs({
  options: {
    dest: { type: 'string', default: 'tmpfs' },
    rounds: { type: 'string', default: '7' },
    scale: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true },
    table: { type: 'boolean', default: false },
  },
})
const dests = Object.keys(PLACES) as (keyof typeof PLACES)[]
const rowIds = GROUPS.flatMap(group => group.rows.map(row => row.id))

if (values.table) printCommitted()
else process.exitCode = measure() ? 0 : 1

function printCommitted(): void {
  for (const dest of dests) {
    const path = resultPath(dest, true)
    if (existsSync(path)) console.log(markdownOf(JSON.parse(readFileSync(path, 'utf8'))))
    else console.log(`### ${dest}\n\nnot measured\n`)
  }
}

function measure(): boolean {
  const dest = dests.find(one => one === values.dest) ?? refuse(`--dest is ${dests.join(' or ')}`)
  const rounds = positive('rounds')
  const scale = positive('scale')
  const unknown = (values.only ?? []).filter(id => !rowIds.includes(id))
  if (unknown.length > 0)
    refuse(`there is no row ${unknown.join(', ')}; there are ${rowIds.join(', ')}`)
  const fileSystem = check(dest, scale)
  const { versions, absent } = programs()
  for (const [name, reason] of absent) console.log(`absent: ${name}: ${reason}`)
  const rows: RowResult[] = []
  const whole = scale === 1 && rounds >= 7
  const path = resultPath(dest, whole)
  for (const group of GROUPS) {
    const results = runGroup(group, {
      folder: PLACES[dest],
      scale,
      rounds,
      asked: id => values.only === undefined || values.only.includes(id),
      absent,
      commit: commit(),
      say: text => console.error(`bench: ${text}`),
    })
    for (const row of results) {
      rows.push(row)
      save(path, { bench: 'archive', dest, fileSystem, scale, machine: machine(), versions, rows })
    }
  }
  console.log(`\n${markdownOf(JSON.parse(readFileSync(path, 'utf8')))}`)
  const measured = new Set(rows.map(row => row.id))
  return FIGURES.filter(figure => figure.row === '*' || measured.has(figure.row))
    .flatMap(figure => judge(figure, figure.must, rows))
    .every(({ met }) => met !== false)
}

/** Rows that were measured now replace those of the file; the others stay, each with its commit. */
function save(path: string, result: ArchiveResult): void {
  const before: ArchiveResult | null = existsSync(path)
    ? JSON.parse(readFileSync(path, 'utf8'))
    : null
  const kept = before?.scale === result.scale ? before.rows : []
  const all = [...kept.filter(old => !result.rows.some(row => row.id === old.id)), ...result.rows]
  const rows = rowIds.flatMap(id => all.filter(row => row.id === id))
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${JSON.stringify({ ...result, rows }, null, 1)}\n`)
}

function resultPath(dest: string, whole: boolean): string {
  return join('bench/results', whole ? '.' : 'tmp', `archive-${dest}.json`)
}

function programs(): { versions: Record<string, string>; absent: Map<string, string> } {
  const contenders = GROUPS.flatMap(group => group.rows).flatMap(row => [
    REPRO,
    ...('contenders' in row ? row.contenders.map(one => one.archiver) : []),
    ...('tools' in row ? (row.tools ?? []) : []).map(tool => ({
      name: tool.name,
      version: { argv: [tool.program, '--version'] },
    })),
  ])
  const versions: Record<string, string> = { node: process.version }
  const absent = new Map<string, string>()
  for (const contender of contenders as Pick<Archiver, 'name' | 'version'>[]) {
    if (contender.name in versions || absent.has(contender.name)) continue
    const found = versionOf(contender)
    if ('said' in found) {
      if (!Object.values(versions).includes(found.said)) versions[contender.name] = found.said
    } else absent.set(contender.name, found.absent)
  }
  return { versions, absent }
}

/** The file system of the destination. Ends the process when it is not the asked one, or has no room. */
function check(dest: keyof typeof PLACES, scale: number): string {
  mkdirSync(dirname(PLACES[dest]), { recursive: true })
  const { type, bavail, bsize } = statfsSync(dirname(PLACES[dest]))
  if ((type === TMPFS_MAGIC) !== (dest === 'tmpfs'))
    refuse(`${dirname(PLACES[dest])} is ${type === TMPFS_MAGIC ? 'a' : 'no'} tmpfs`)
  if (bavail * bsize < NEEDED_BYTES * scale)
    refuse(`${dirname(PLACES[dest])} has less than ${(NEEDED_BYTES * scale) / 1e9} GB free`)
  return dest === 'tmpfs' ? 'tmpfs' : `type 0x${type.toString(16)}`
}

function machine(): Record<string, string | number> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    processors: cpus().length,
    memory: `${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
  }
}

function commit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim()
  const changed = git('status', '--porcelain', '--', 'src', 'cli', 'schemas') !== ''
  return `${git('rev-parse', '--short', 'HEAD')}${changed ? ' with changes' : ''}`
}

function positive(name: 'rounds' | 'scale'): number {
  const value = Number(values[name])
  return value > 0 ? value : refuse(`--${name} is a number above 0`)
}

function refuse(why: string): never {
  console.error(`bench archive: ${why}`)
  process.exit(2)
}
