import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { MOUNT_POINTS } from '../../src/core/mount-points.ts'
import { findProgram } from '../helpers/requires.ts'

const PROGRAMS = [
  'sh',
  'cat',
  'chmod',
  'env',
  'grep',
  'head',
  'id',
  'kill',
  'ls',
  'mkdir',
  'printf',
].concat(['mount', 'setsid', 'sleep', 'stat', 'tail', 'touch', 'uname', 'unshare'])

/** Makes a small root file system from programs of this host with the libraries that ldd names. */
export function makeRootfs(root: string, programs: readonly string[] = PROGRAMS): void {
  for (const point of MOUNT_POINTS) mkdirSync(join(root, point), { recursive: true })
  for (const name of ['bin', 'etc']) mkdirSync(join(root, name), { recursive: true })
  for (const name of programs) {
    const program = findProgram(name)
    if (!program) throw new Error(`the host has no ${name}`)
    copyFileSync(realpathSync(program), join(root, 'bin', name))
    for (const library of librariesOf(program)) {
      const target = join(root, library)
      mkdirSync(dirname(target), { recursive: true })
      if (!existsSync(target)) copyFileSync(realpathSync(library), target)
    }
  }
  if (programs.length > 0) {
    symlinkSync('.', join(root, 'usr'))
    writeFileSync(join(root, 'etc', 'marker'), 'the image\n')
  }
}

function librariesOf(program: string): string[] {
  const text = execFileSync('ldd', [program], { encoding: 'utf8' })
  return [...text.matchAll(/(\/\S+) \(0x/g)].map(match => match[1]!)
}
