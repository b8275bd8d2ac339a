import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { checkout } from './cli.ts'
import { tarToOciArchive } from './oci-archive.ts'

/** What no program of the image reads: two thirds of its files. */
const LEFT_OUT =
  /^(\.\/)?(usr\/share\/(doc|man|info|locale|lintian|perl)|usr\/lib\/python3[^/]*|dev)\/./

/** Where this machine's own apt finds packages; mmdebstrap takes such files as they are. */
const SOURCES = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list']

/**
 * An OCI archive of Debian with these packages, made by mmdebstrap from the machine's own apt sources; kept for
 * the next run of the tests.
 */
export async function debianImage(packages: readonly string[]): Promise<string> {
  const codename = /^VERSION_CODENAME=(\w+)/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1]
  const folder = join(checkout, '.repro-test')
  const archive = join(folder, `${[codename, ...packages].join('-')}.oci.tar`)
  if (existsSync(archive)) return archive
  await mkdir(folder, { recursive: true })
  const fresh = `${archive}.${process.pid}`
  const tar = `${fresh}.rootfs.tar`
  try {
    const sources = SOURCES.filter(path => existsSync(path)).slice(0, 1)
    await promisify(execFile)('mmdebstrap', [
      '--variant=extract',
      '--quiet',
      `--include=${packages.join(',')}`,
      codename ?? 'stable',
      tar,
      ...sources,
    ])
    await tarToOciArchive(tar, fresh, {
      keep: ({ name, type }) =>
        !LEFT_OUT.test(name) && type !== 'character-device' && type !== 'block-device',
    })
    await rename(fresh, archive)
  } finally {
    await rm(tar, { force: true })
    await rm(fresh, { force: true })
  }
  return archive
}
