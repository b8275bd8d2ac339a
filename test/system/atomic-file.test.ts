import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryName, writeFileAtomic } from '../../src/system/atomic-file.ts'

it.each(['é'.repeat(127), '語'.repeat(85), '𝒳'.repeat(63), 'a'.repeat(255)])(
  'writes a file whose name is as long as a name may be: %s',
  async name => {
    const folder = await mkdtemp(join(tmpdir(), 'repro-atomic-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const temporary = basename(temporaryName(join(folder, name)))
    expect(Buffer.byteLength(temporary)).toBeLessThanOrEqual(255)
    expect(temporary).not.toContain('\ufffd')
    await writeFileAtomic(join(folder, name), 'text')
    expect(await readdir(folder)).toEqual([name])
    expect(await readFile(join(folder, name), 'utf8')).toBe('text')
  },
)
