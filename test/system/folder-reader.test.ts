import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FolderReader, type Looked } from '../../src/system/folder-reader.ts'
import { scratch } from '../helpers/cli.ts'

function folderOfMany(): string {
  const folder = scratch()
  mkdirSync(join(folder, 'below'))
  for (let i = 0; i < 300; i++) writeFileSync(join(folder, `f${i}`), 'x'.repeat(i))
  chmodSync(join(folder, 'f7'), 0o600)
  symlinkSync('f7', join(folder, 'link'))
  return folder
}

/** What a look gives, in the order of the names. */
async function look(reader: FolderReader, more: readonly string[] = []): Promise<Looked[]> {
  const names = [...((await reader.names('')) as string[]), ...more]
  const all: Looked[] = []
  for await (const part of reader.look(names)) all.push(...part)
  return all.sort((a, b) => names.indexOf(a.path) - names.indexOf(b.path))
}

describe('FolderReader', () => {
  it('finds the same whether the file system is quick or slow', async () => {
    const folder = folderOfMany()
    const quick = await look(new FolderReader(folder, Number.POSITIVE_INFINITY), ['gone'])
    const slow = await look(new FolderReader(folder, -1), ['gone'])
    expect(quick).toHaveLength(303)
    expect(quick.at(-1)?.error).toMatchObject({ code: 'ENOENT' })
    expect(quick.find(one => one.path === 'link')?.target?.toString()).toBe('f7')
    const plain = ({ error, stats, ...rest }: Looked) => ({
      ...rest,
      state: stats && `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.mode}`,
      code: (error as NodeJS.ErrnoException | undefined)?.code,
    })
    expect(slow.map(plain)).toEqual(quick.map(plain))
  })

  it('gives names that are no UTF-8 as bytes', async () => {
    const folder = scratch()
    const bad = Buffer.from([0x62, 0xff])
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), bad]), '')
    writeFileSync(join(folder, 'a\ufffd'), '')
    const names = await new FolderReader(folder).names('')
    expect(names).toHaveLength(2)
    expect(names).toContainEqual(bad)
    expect(names).toContain('a\ufffd')
  })

  it('stops when asked to', async () => {
    const reader = new FolderReader(folderOfMany())
    await expect(reader.look(['f1'], AbortSignal.abort()).next()).rejects.toThrow(/abort/i)
  })
})
