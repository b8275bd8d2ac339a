import { execFileSync } from 'node:child_process'
import { chmod, mkdir, open, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { StreamSource } from '../../src/image/tar/byte-source.ts'
import { readTar, type TarReadOptions } from '../../src/image/tar/tar-reader.ts'
import { type TarItem, writeTar } from '../../src/image/tar/tar-writer.ts'
import { errorOf, tarOf, testFolder } from './helpers.ts'

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function readAll(bytes: Buffer, pieces = 1000, options: TarReadOptions = {}) {
  const entries = []
  for await (const entry of readTar(new StreamSource(inPieces(bytes, pieces)), options)) {
    const chunks: Buffer[] = []
    for await (const chunk of entry.body()) chunks.push(chunk)
    const { path, type, target, mode } = entry
    entries.push({ path, type, target, mode, text: Buffer.concat(chunks).toString('latin1') })
  }
  return entries
}

async function writeAll(items: readonly TarItem[]): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of writeTar(items)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const file = (path: string, text: string): TarItem => ({
  path,
  type: 'file',
  mode: 0o644,
  size: Buffer.byteLength(text, 'latin1'),
  async *body() {
    yield Buffer.from(text, 'latin1')
  },
})

/** Sets a field of the first header and its checksum. */
function forge(tar: Buffer, at: number, value: string | Buffer): Buffer {
  const forged = Buffer.from(tar)
  if (typeof value === 'string') forged.write(value, at, 'latin1')
  else value.copy(forged, at)
  forged.write('        ', 148)
  const sum = forged.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  forged.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return forged
}

describe('writing and reading', () => {
  test('what is written is read back, whatever the names', async () => {
    const name = fc
      .array(
        fc.stringMatching(/^[^\0/]{1,120}$/).filter(part => part !== '.' && part !== '..'),
        {
          minLength: 1,
          maxLength: 3,
        },
      )
      .map(parts => parts.map(part => Buffer.from(part).toString('latin1').slice(0, 200)).join('/'))
    const item = fc.record({
      path: name,
      text: fc.string().map(t => Buffer.from(t).toString('latin1')),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { maxLength: 8 }),
        fc.integer({ min: 1, max: 1500 }),
        async (items, pieces) => {
          const tar = await writeAll(items.map(({ path, text }) => file(path, text)))
          const read = await readAll(tar, pieces, { endMark: true })
          expect(read.map(({ path, text }) => ({ path, text }))).toEqual(items)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('GNU tar reads what is written', async () => {
    const folder = await testFolder()
    const long = `${'l'.repeat(150)}/${'n'.repeat(150)}`
    const tar = await writeAll([
      { path: 'd', type: 'folder', mode: 0o755 },
      file('d/a', 'text'),
      file(long, 'long'),
      { path: 'd/l', type: 'link', mode: 0o777, target: 't'.repeat(130) },
      { path: 'd/h', type: 'hardlink', mode: 0o644, target: 'd/a' },
    ])
    await writeFile(join(folder, 'x.tar'), tar)
    const listed = execFileSync(
      'tar',
      ['-tvf', join(folder, 'x.tar'), '--numeric-owner', '--utc'],
      {
        encoding: 'utf8',
      },
    )
    expect(listed.split('\n').map(line => line.replace(/ +/g, ' '))).toEqual([
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 d/',
      '-rw-r--r-- 0/0 4 1970-01-01 00:00 d/a',
      `-rw-r--r-- 0/0 4 1970-01-01 00:00 ${long}`,
      `lrwxrwxrwx 0/0 0 1970-01-01 00:00 d/l -> ${'t'.repeat(130)}`,
      'hrw-r--r-- 0/0 0 1970-01-01 00:00 d/h link to d/a',
      '',
    ])
  })

  test.each(['gnu', 'posix', 'ustar', 'v7'])('what GNU tar writes as %s is read', async format => {
    const folder = await testFolder()
    await mkdir(join(folder, 't/sub'), { recursive: true })
    const name = format === 'gnu' || format === 'posix' ? 'n'.repeat(140) : 'n'.repeat(60)
    await writeFile(join(folder, 't', name), 'content')
    await chmod(join(folder, 't', name), 0o755)
    await symlink(name, join(folder, 't/link'))
    const tar = execFileSync('tar', [
      `--format=${format}`,
      '--sort=name',
      '-C',
      folder,
      '-cf',
      '-',
      't',
    ])
    const read = await readAll(tar, 777, { endMark: true })
    expect(read).toEqual([
      { path: 't', type: 'folder', target: '', mode: 0o755, text: '' },
      { path: 't/link', type: 'link', target: name, mode: 0o777, text: '' },
      { path: `t/${name}`, type: 'file', target: '', mode: 0o755, text: 'content' },
      { path: 't/sub', type: 'folder', target: '', mode: 0o755, text: '' },
    ])
  })
})

describe('broken and hostile tars', () => {
  const small = () => tarOf([{ name: 'a', text: 'hello' }])

  test('cut short anywhere but at the end is IMAGE_INVALID', async () => {
    const tar = await tarOf([
      { name: 'a', text: 'hello' },
      { name: 'b', text: 'x'.repeat(600) },
    ])
    for (const length of [1, 511, 513, 700, 1025, 1600, 2047]) {
      const error = await errorOf(readAll(tar.subarray(0, length)))
      expect(error.code).toBe('IMAGE_INVALID')
      expect(error.message).toContain('cut short')
    }
    expect(
      (await errorOf(readAll(tar.subarray(0, 1024), 100, { endMark: true }))).message,
    ).toContain('no end mark')
  })

  test('negative, huge and senseless sizes are IMAGE_INVALID', async () => {
    const tar = await small()
    const negative = Buffer.alloc(12, 0xff)
    const huge = Buffer.from([0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
    for (const size of [negative, huge, '0000000zzz\0\0'])
      expect((await errorOf(readAll(forge(tar, 124, size)))).message).toContain('no valid size')
    expect((await errorOf(readAll(forge(tar, 124, '77777777777\0')))).message).toContain(
      'cut short',
    )
  })

  test('a wrong checksum, an unknown type, sparse and multi-volume entries are IMAGE_INVALID', async () => {
    const tar = await small()
    const flipped = Buffer.from(tar)
    flipped[0] = 98
    expect((await errorOf(readAll(flipped))).message).toContain('checksum')
    for (const type of ['S', 'M', 'V', 'D', 'Q'])
      expect((await errorOf(readAll(forge(tar, 156, type)))).code).toBe('IMAGE_INVALID')
  })

  test('a sparse file as GNU tar writes it is refused with what to do', async () => {
    const folder = await testFolder()
    const handle = await open(join(folder, 'hole'), 'w')
    await handle.truncate(1 << 20)
    await handle.write('end', 1 << 20)
    await handle.close()
    for (const format of ['gnu', 'posix']) {
      const tar = execFileSync('tar', [
        `--format=${format}`,
        '-S',
        '-C',
        folder,
        '-cf',
        '-',
        'hole',
      ])
      const error = await errorOf(readAll(tar))
      expect(error.message).toContain('sparse')
      expect(error.hints).toEqual(['make the tar without --sparse'])
    }
  })

  test('bytes after the end mark, and broken PAX headers, are IMAGE_INVALID', async () => {
    const tar = await small()
    expect((await errorOf(readAll(Buffer.concat([tar, tar])))).message).toContain(
      'after its end mark',
    )
    const pax = (body: string) => {
      const head = forge(Buffer.alloc(512), 257, 'ustar\x0000')
      const sized = forge(forge(head, 124, body.length.toString(8).padStart(11, '0')), 156, 'x')
      return Buffer.concat([sized, Buffer.from(body.padEnd(512, '\0')), tar])
    }
    for (const body of [
      'zzz',
      '99 path=x\n',
      '9 path=x',
      '6 abc\n',
      '12 size=-1x\n',
      '11 path=a\0b\n',
    ])
      expect((await errorOf(readAll(pax(body)))).code).toBe('IMAGE_INVALID')
    expect((await readAll(pax('10 path=b\n')))[0]?.path).toBe('b')
  })

  test('names that are too long are IMAGE_INVALID', async () => {
    for (const name of ['x'.repeat(300), `${'x/'.repeat(2100)}y`])
      expect((await errorOf(readAll(await tarOf([{ name, text: '' }])))).message).toContain(
        'too long',
      )
  })
})
