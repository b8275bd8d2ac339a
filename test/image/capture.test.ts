import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { basename, join } from 'node:path'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { importImage } from '../../src/image/import-image.ts'
import { requires } from '../helpers/requires.ts'
import { errorOf, finish, imageOf, importFrom, testFolder, unpack } from './helpers.ts'

afterEach(() => vi.unstubAllEnvs())

async function capture(programs: readonly string[]) {
  const cache = await testFolder()
  const { result, records } = await finish(
    importImage({ host: [...programs] }, { folder: cache, cache }),
  )
  const { path } = await unpack(imageOf(result), cache)
  const warnings = records.filter(({ action }) => action === 'warning').map(r => r.message)
  return { imported: result, rootfs: path, warnings }
}

/** Runs a command in a rootfs, with nothing of the host's. */
function runInside(rootfs: string, command: readonly string[]): string {
  const sandbox = ['--unshare-all', '--ro-bind', rootfs, '/', '--proc', '/proc', '--dev', '/dev']
  const env = ['--tmpfs', '/tmp', '--clearenv', '--setenv', 'LC_ALL', 'C.UTF-8']
  const path = ['--setenv', 'PATH', '/usr/local/bin:/usr/bin:/bin']
  const result = spawnSync('bwrap', [...sandbox, ...env, ...path, '--', ...command], {
    encoding: 'utf8',
  })
  return result.stdout + result.stderr
}

/** A folder of programs that stands first in PATH. */
async function ownPrograms(programs: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(await testFolder(), 'bin')
  await mkdir(folder)
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(folder, name), text)
    await chmod(join(folder, name), 0o755)
  }
  vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`)
  return folder
}

describe('host capture', () => {
  test('keeps the chain of links that leads to a program', async context => {
    requires(context, 'program awk')
    const { rootfs } = await capture(['awk'])
    const host = execFileSync('sh', ['-c', 'command -v awk'], { encoding: 'utf8' }).trim()
    let path = host
    for (let hops = 0; (await lstat(path)).isSymbolicLink() && hops < 9; hops++) {
      const target = await readlink(path)
      expect(await readlink(join(rootfs, path))).toBe(target)
      path = target.startsWith('/') ? target : join(path, '..', target)
    }
    expect((await lstat(join(rootfs, path))).mode & 0o777).toBe(0o755)
    expect(await readFile(join(rootfs, path))).toEqual(await readFile(path))
  })

  test('gives the same image each time', async () => {
    const one = await capture(['bash', 'sort'])
    const two = await capture(['bash', 'sort'])
    expect(two.imported.resolved).toEqual(one.imported.resolved)
    expect(two.imported.files).toEqual(one.imported.files)
  })

  test('has no time, no owner and nothing of this user in it', async () => {
    const { imported } = await capture(['cat'])
    const blob = (digest: string) =>
      join(imported.layout, 'blobs/sha256', digest.replace('sha256:', ''))
    const config = JSON.parse(await readFile(blob(imported.resolved.config), 'utf8'))
    expect(config.created).toBe('1970-01-01T00:00:00Z')
    const listed = execFileSync(
      'tar',
      ['-tvf', blob(imported.resolved.layers[0]!.digest), '--numeric-owner', '--utc'],
      { encoding: 'utf8' },
    )
    const lines = listed.trim().split('\n')
    expect(lines.length).toBeGreaterThan(10)
    for (const line of lines) expect(line).toMatch(/ 0\/0 +\d+ 1970-01-01 00:00 /)
    const names = lines.map(line => line.replace(/^.* 00:00 /, '').replace(/ (->|link to) .*/, ''))
    expect(names).toEqual(
      [...names].sort((a, b) => (a.replace(/\/$/, '') < b.replace(/\/$/, '') ? -1 : 1)),
    )
  })

  test('runs what was captured, pipes, scripts and locale included', async context => {
    requires(context, 'program bwrap', 'user namespaces', 'program awk', 'program gzip')
    const { rootfs, warnings } = await capture(['bash', 'awk', 'sort', 'gzip', 'zcat', 'cat'])
    const script = `
      awk 'BEGIN { print "b\\na" | "sort" }'
      echo zipped | gzip | zcat
      printf 'é' | { read -r -n1 letter; echo "\${#letter}"; }`
    expect(runInside(rootfs, ['bash', '-c', script])).toBe('a\nb\nzipped\n1\n')
    expect(warnings.join()).toContain('zcat')
  })

  test.for(['mawk', 'gawk', 'busybox', '/usr/bin/python3', 'perl', 'ldd'])(
    'captures %s so that it works',
    async (program, context) => {
      requires(context, 'program bwrap', 'user namespaces', `program ${basename(program)}`)
      if (program.startsWith('/') && !existsSync(program)) context.skip(`needs ${program}`)
      const asked = {
        mawk: ['mawk', 'BEGIN { print 6 * 7 }'],
        gawk: ['gawk', 'BEGIN { print 6 * 7 }'],
        busybox: ['busybox', 'echo', '42'],
        '/usr/bin/python3': [
          '/usr/bin/python3',
          '-c',
          'import json, math, hashlib; print(json.loads("42"))',
        ],
        perl: ['perl', '-MList::Util=sum', '-MPOSIX', '-e', 'print sum(40, 2), "\\n"'],
        ldd: ['bash', '-c', 'ldd /bin/bash | { read -r line; echo 42; }'],
      }[program]!
      const { rootfs } = await capture([program, 'bash'])
      expect(runInside(rootfs, asked)).toBe('42\n')
    },
  )

  test('follows #! lines through env, and scripts to the programs they call', async context => {
    requires(context, 'program bwrap', 'user namespaces')
    await ownPrograms({
      outer: '#!/usr/bin/env bash\nset -e\n# cat is only talked about\ninner | sort -r\n',
      inner: '#!/bin/sh\nprintf "1\\n2\\n"\n',
    })
    const { rootfs, warnings } = await capture(['outer'])
    expect(await readdir(join(rootfs, 'usr/bin'))).not.toContain('cat')
    expect(warnings.join()).toContain('captured with what it seems to call (inner, sort)')
    expect(runInside(rootfs, ['outer'])).toBe('2\n1\n')
  })

  test('a missing program is named with the nearest one', async () => {
    await ownPrograms({ 'sam-tools-x': '#!/bin/sh\n' })
    const error = await errorOf(capture(['sam-tols-x']))
    expect(error.code).toBe('PROGRAM_MISSING')
    expect(error.exitCode).toBe(2)
    expect(error.message).toBe('the program "sam-tols-x" is not on this host')
    expect(error.hints[0]).toBe('did you mean "sam-tools-x"?')
  })

  test('a path that is not absolute, and links that go round, are refused', async () => {
    expect((await errorOf(capture(['./bash']))).code).toBe('PROGRAM_MISSING')
    const folder = await ownPrograms({})
    await symlink('round', join(folder, 'round'))
    expect((await errorOf(capture(['round']))).code).toBe('PROGRAM_MISSING')
  })

  test('executes nothing of the folder that names it, nor what lies outside of PATH', async () => {
    const folder = await testFolder()
    const marker = join(await testFolder(), 'executed')
    for (const name of ['perl', 'python3'])
      await writeFile(join(folder, name), `#!/bin/sh\ntouch ${marker}\n`, { mode: 0o755 })
    const elsewhere = await testFolder()
    await copyFile(join(folder, 'perl'), join(elsewhere, 'perl'))
    const shim = await ownPrograms({})
    await symlink(join(folder, 'python3'), join(shim, 'python3'))
    for (const [name, why] of [
      [join(folder, 'perl'), 'lies in the folder itself'],
      ['python3', 'lies in the folder itself'],
      [`/proc/${process.pid}/root${join(elsewhere, 'perl')}`, 'lies in no folder of PATH'],
      [join(elsewhere, 'perl'), 'lies in no folder of PATH'],
    ] as const) {
      const error = await errorOf(importFrom({ host: [name] }, folder, elsewhere))
      expect(error).toMatchObject({ code: 'IMAGE_SOURCE', exitCode: 2 })
      expect(error.message).toContain(why)
    }
    expect(existsSync(marker)).toBe(false)
  })

  test('executes no loader but one of the system', async context => {
    requires(context, 'program cat')
    const cat = await readFile('/bin/cat')
    const loader = /\/lib\d*\/ld-linux[\w.-]+/.exec(cat.toString('latin1'))?.[0] ?? ''
    if (loader.length < 20) context.skip('needs a cat that glibc loads')
    const folder = await mkdtemp('/tmp/ld-')
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const evil = join(folder, 'ld.so')
    await writeFile(evil, `#!/bin/sh\ntouch ${folder}/executed\n`, { mode: 0o755 })
    const at = cat.indexOf(loader)
    cat.fill(0, at, at + loader.length).write(evil, at)
    const programs = await ownPrograms({})
    await writeFile(join(programs, 'patched'), cat, { mode: 0o755 })
    const error = await errorOf(capture(['patched']))
    expect(error.code).toBe('IMAGE_SOURCE')
    expect(error.message).toContain(`the loader "${evil}" of`)
    expect(existsSync(join(folder, 'executed'))).toBe(false)
  })

  test('does not change when it is imported again as an image of its own', async () => {
    const cache = await testFolder()
    const captured = await importFrom({ host: ['cat'] }, cache, cache)
    const again = await importFrom({ source: captured.layout }, cache, cache)
    expect(again.resolved.digest).toBe(captured.resolved.digest)
    expect(again.layout).toBe(captured.layout)
  })
})
