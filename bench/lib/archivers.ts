import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Command, run } from './timed.ts'

/** A program that keeps releases of a folder, and how to ask it. `place` is its own folder for everything. */
export interface Archiver {
  readonly name: string
  readonly slug: string
  /** The command that says its version. */
  readonly version: Command
  /** Makes an empty repository in an empty place. Not timed. */
  prepare(place: string): void
  /** Stores the folder as it is now, as release `n`. */
  publish(place: string, source: string, n: number): Command
  /** What is done before and after each publish, not timed. */
  before?(place: string, source: string): void
  after?(place: string, source: string): void
  /** Writes the newest release into `target`. */
  checkout?(place: string, source: string, target: string): Command
  /** Where it keeps what it stores; its caches are not counted. */
  repository(place: string): string
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const PROGRAM = here('../../dist/cli/repro.js')
const homeOf = (place: string) => join(place, 'home')
const repositoryOf = (place: string) => join(place, 'repository')

export const reproEnvironment = (place: string) => ({
  HOME: place,
  REPRO_HOME: homeOf(place),
  REPRO_CACHE: join(place, 'cache'),
  REPRO_BOOTSTRAP: 'none',
})

/** The command line of repro, quiet. */
export const repro = (place: string, ...args: readonly string[]): Command => ({
  argv: [process.execPath, PROGRAM, ...args],
  env: reproEnvironment(place),
})

/** Where the two sources of the growth row lie. */
export const FEW = '10000'
export const MANY = '100000'

export const REPRO = reproArchiver('repro', 'repro')
export const REPRO_IN_PLACE = reproArchiver('repro --in-place', 'repro-in-place', ['--in-place'])
export const REPRO_10_000 = reproArchiver('repro, 10,000 files', 'repro-10000', [], FEW)
export const REPRO_100_000 = reproArchiver('repro, 100,000 files', 'repro-100000', [], MANY)

/** The note of its key that repro keeps in the author's folder is put there only while repro works: the peers publish the same files. */
function reproArchiver(
  name: string,
  slug: string,
  flags: readonly string[] = [],
  below = '.',
): Archiver {
  const noteIn = (source: string) => join(source, below, '.repro')
  return {
    name,
    slug,
    version: { argv: [process.execPath, PROGRAM, '--version'] },
    prepare: place => mkdirSync(place, { recursive: true }),
    before(place, source) {
      rmSync(noteIn(source), { recursive: true, force: true })
      if (existsSync(join(place, 'note'))) renameSync(join(place, 'note'), noteIn(source))
    },
    publish: (place, source) => repro(place, 'publish', join(source, below), '--quiet', ...flags),
    after: (place, source) => renameSync(noteIn(source), join(place, 'note')),
    checkout(place, _source, target) {
      rmSync(join(place, 'cache'), { recursive: true, force: true })
      return repro(place, 'get', keyOf(place), target, '--quiet')
    },
    repository: homeOf,
  }
}

function keyOf(place: string): string {
  return JSON.parse(readFileSync(join(place, 'note/bundle.json'), 'utf8')).key
}

function restic(name: string, slug: string, compression: readonly string[]): Archiver {
  const command = (place: string, ...args: readonly string[]): Command => ({
    argv: ['restic', '-q', ...args],
    env: { HOME: place, RESTIC_REPOSITORY: repositoryOf(place), RESTIC_PASSWORD: 'bench' },
  })
  return {
    name,
    slug,
    version: { argv: ['restic', 'version'] },
    prepare(place) {
      mkdirSync(place, { recursive: true })
      run(command(place, 'init', '--repository-version', '2'))
    },
    publish: (place, source) => command(place, 'backup', ...compression, '--host', 'bench', source),
    checkout: (place, _source, target) => command(place, 'restore', 'latest', '--target', target),
    repository: repositoryOf,
  }
}

export const RESTIC = restic('restic --compression off', 'restic', ['--compression', 'off'])
export const RESTIC_DEFAULT = restic('restic', 'restic-default', [])

function borgCommand(place: string, ...args: readonly string[]): Command {
  return {
    argv: ['borg', ...args],
    env: {
      BORG_BASE_DIR: place,
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
      BORG_REPO: repositoryOf(place),
    },
  }
}

export const BORG: Archiver = {
  name: 'borg -e none --compression none',
  slug: 'borg',
  version: { argv: ['borg', '--version'] },
  prepare(place) {
    mkdirSync(place, { recursive: true })
    run(borgCommand(place, 'init', '-e', 'none'))
  },
  publish: (place, source, n) =>
    borgCommand(place, 'create', '--compression', 'none', `::r${n}`, source),
  checkout(place, _source, target) {
    mkdirSync(target, { recursive: true })
    const list = run(borgCommand(place, 'list', '--short'))
      .trim()
      .split('\n')
    return { ...borgCommand(place, 'extract', `::${list.at(-1)}`), cwd: target }
  },
  repository: repositoryOf,
}

const bupEnvironment = (place: string) => ({ HOME: place, BUP_DIR: repositoryOf(place) })

export const BUP: Archiver = {
  name: 'bup',
  slug: 'bup',
  version: { argv: ['bup', '--version'] },
  prepare(place) {
    mkdirSync(place, { recursive: true })
    run({ argv: ['bup', 'init'], env: bupEnvironment(place) })
  },
  publish: (place, source) => ({
    argv: ['sh', '-ec', 'bup index "$1"; bup save -q -n bench "$1"', 'sh', source],
    env: bupEnvironment(place),
  }),
  repository: repositoryOf,
}

function mirrorDrive(name: string, slug: string, ...options: readonly string[]): Archiver {
  const script = here('mirror-drive-peer.mjs')
  return {
    name,
    slug,
    version: { argv: [process.execPath, '-p', mirrorDriveVersion] },
    prepare: place => mkdirSync(place, { recursive: true }),
    publish: (place, source) => ({
      argv: [process.execPath, script, repositoryOf(place), source, ...options],
    }),
    repository: repositoryOf,
  }
}

const packageVersion = (name: string) =>
  `JSON.parse(fs.readFileSync(${JSON.stringify(here(`../../node_modules/${name}/package.json`))})).version`
const mirrorDriveVersion = `'mirror-drive ' + ${packageVersion('mirror-drive')} + ', hyperdrive ' + ${packageVersion('hyperdrive')}`

export const MIRROR_DRIVE = mirrorDrive('mirror-drive', 'mirror-drive')
export const MIRROR_DRIVE_BATCH = mirrorDrive('mirror-drive batch', 'mirror-drive-batch', 'batch')

/** No archive: the floor of what writing the same bytes takes. */
export const COPY: Archiver = {
  name: 'cp -r',
  slug: 'cp',
  version: { argv: ['cp', '--version'] },
  prepare: place => mkdirSync(place, { recursive: true }),
  publish: (place, source) => ({ argv: ['cp', '-r', source, repositoryOf(place)] }),
  checkout: (_place, source, target) => ({ argv: ['cp', '-r', source, target] }),
  repository: repositoryOf,
}

/** The first line a program says of its version, or why it says none. */
export function versionOf({
  version,
}: Pick<Archiver, 'version'>): { said: string } | { absent: string } {
  try {
    return { said: run(version).trim().split('\n')[0]! }
  } catch (error) {
    return { absent: (error as Error).message.trim().split('\n')[0]! }
  }
}

/** True when this build of repro knows the flag. */
export function knowsFlag(flag: string): boolean {
  return run({ argv: [process.execPath, PROGRAM, 'publish', '--help'] }).includes(flag)
}

/** All paths of files below a folder, sorted. */
export function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && !entry.parentPath.includes('/.repro'))
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
}
