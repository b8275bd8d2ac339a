import { chmod, lstat, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Extent } from '../../src/core/release-source.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { formatFileState } from '../../src/system/file-state.ts'
import { TreePool } from '../../src/system/tree-pool.ts'

const MANY = 1 << 30

async function place(): Promise<{ folder: string; pool: TreePool }> {
  const folder = await mkdtemp(join(tmpdir(), 'repro-tree-pool-'))
  const pool = new TreePool(MANY, 1)
  onTestFinished(async () => {
    await pool.close()
    await rm(folder, { recursive: true, force: true })
  })
  return { folder, pool }
}

/** Bytes that repeat nowhere and are the same each time. */
function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  let x = seed
  for (let at = 0; at + 4 <= length; at += 4) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    bytes.writeUInt32LE(x, at)
  }
  return bytes
}

const wanted = (path: string, bytes: Uint8Array, extents: readonly Extent[]) => ({
  path,
  size: bytes.length,
  blake3: blake3(bytes),
  mode: 0o644,
  extents,
})

test('files are put together from runs of other files and from bytes, with mode, date and state', async () => {
  const { folder, pool } = await place()
  const source = join(folder, 'source')
  const bytes = noise(40_000)
  await writeFile(source, bytes)
  const date = new Date('2026-01-02T03:04:05.500Z')
  const one = bytes.subarray(100, 20_100)
  const two = Buffer.concat([bytes.subarray(30_000), Buffer.from('tail'), bytes.subarray(0, 5)])
  const states = await pool.place(
    [
      wanted(join(folder, 'one'), one, [{ path: source, offset: 100, length: 20_000 }]),
      {
        ...wanted(join(folder, 'two'), two, [
          { path: source, offset: 30_000, length: 10_000 },
          { bytes: Buffer.from('tail') },
          { path: source, offset: 0, length: 5 },
        ]),
        mode: 0o755,
      },
      wanted(join(folder, 'empty'), Buffer.alloc(0), []),
    ],
    date,
  )
  expect(await readFile(join(folder, 'one'))).toEqual(one)
  expect(await readFile(join(folder, 'two'))).toEqual(two)
  for (const [i, name] of ['one', 'two', 'empty'].entries()) {
    const stats = await lstat(join(folder, name), { bigint: true })
    expect(states[i]).toBe(formatFileState(stats))
    expect(stats.mtime).toEqual(date)
    expect(Number(stats.mode) & 0o777).toBe(name === 'two' ? 0o755 : 0o644)
  }
})

test('a file of other bytes than expected, or that cannot be read, is not written, and others are', async () => {
  const { folder, pool } = await place()
  const source = join(folder, 'source')
  await writeFile(source, noise(1000))
  const good = noise(1000)
  const at = (name: string) => join(folder, name)
  const run = { path: source, offset: 0, length: 1000 }
  const states = await pool.place(
    [
      wanted(at('damaged'), noise(1000, 7), [run]),
      wanted(at('short'), noise(1000), [{ ...run, offset: 500 }]),
      wanted(at('nowhere'), noise(1000), [{ ...run, path: at('gone') }]),
      wanted(at('longer'), noise(1000), [run, { bytes: Buffer.from('x') }]),
      wanted(at('large'), noise(20 << 20, 3), [{ bytes: noise(20 << 20, 4) }]),
      wanted(at('good'), good, [run]),
    ],
    null,
  )
  expect(states.map(state => state !== null)).toEqual([false, false, false, false, false, true])
  expect((await readdir(folder)).sort()).toEqual(['good', 'source'])
})

test('a large file is hashed beside the writing, right and wrong alike', async () => {
  const { folder, pool } = await place()
  const source = join(folder, 'source')
  const bytes = noise(33_333_333)
  await writeFile(source, bytes)
  const halves = [
    { path: source, offset: 0, length: 20_000_001 },
    { path: source, offset: 20_000_001, length: bytes.length - 20_000_001 },
  ]
  const file = wanted(join(folder, 'large'), bytes, halves)
  expect(await pool.prove([file])).toEqual([true])
  expect(await pool.prove([{ ...file, blake3: blake3('other') }])).toEqual([false])
  expect(
    await pool.prove([{ ...file, extents: [halves[0]!, { ...halves[1]!, offset: 30_000_000 }] }]),
  ).toEqual([false])
  expect(await pool.place([file], null)).toHaveLength(1)
  expect((await readFile(file.path)).equals(bytes)).toBe(true)
  expect(
    await pool.place([{ ...file, path: join(folder, 'not'), blake3: blake3('x') }], null),
  ).toEqual([null])
  expect((await readdir(folder)).sort()).toEqual(['large', 'source'])
})

test.each([
  ['one thread', 8 << 20],
  ['a pair', 24 << 20],
])('zeros become holes: %s', async (_, size) => {
  const { folder, pool } = await place()
  const bytes = Buffer.alloc(size)
  bytes.write('start')
  bytes.write('middle', (size >> 1) + 3)
  bytes.write('end', size - 3)
  const file = wanted(join(folder, 'sparse'), bytes, [{ bytes }])
  expect(await pool.place([file], null)).not.toEqual([null])
  expect((await readFile(file.path)).equals(bytes)).toBe(true)
  expect((await lstat(file.path)).blocks * 512).toBeLessThan(1 << 20)
  const empty = wanted(join(folder, 'only-zeros'), Buffer.alloc(size), [
    { bytes: Buffer.alloc(size) },
  ])
  expect(await pool.place([empty], null)).not.toEqual([null])
  expect((await lstat(empty.path)).blocks).toBe(0)
  expect((await lstat(empty.path)).size).toBe(size)
})

test('what stands at a path is told, and no link is followed', async () => {
  const { folder, pool } = await place()
  const at = (name: string) => join(folder, name)
  await writeFile(at('file'), 'text')
  await symlink('file', at('link'))
  await writeFile(at('run'), 'text')
  await chmod(at('run'), 0o755)
  const expected = { size: 4, blake3: blake3('text'), executable: false }
  const paths = ['file', 'link', 'run', 'none', '.'].map(name => ({ ...expected, path: at(name) }))
  const states = await pool.check(
    [
      ...paths,
      { ...expected, path: at('file'), size: 5 },
      { ...expected, path: at('file'), blake3: blake3('Text') },
    ],
    true,
  )
  const state = formatFileState(await lstat(at('file'), { bigint: true }))
  expect(states).toEqual([
    { is: 'equal', state },
    { is: 'link' },
    { is: 'mode' },
    { is: 'missing' },
    { is: 'folder' },
    { is: 'size', found: 4 },
    { is: 'hash', found: blake3('text') },
  ])
  const here = new TreePool(0, 0)
  expect(here.width).toBe(0)
  expect(await here.check(paths, true)).toEqual(states.slice(0, 5))
})

test('a file that cannot be written fails with what the disk says, and leaves nothing', async () => {
  const { folder, pool } = await place()
  const bytes = Buffer.from('text')
  const file = wanted(join(folder, 'no-folder', 'file'), bytes, [{ bytes }])
  await expect(pool.place([file], null)).rejects.toMatchObject({ code: 'ENOENT' })
  await writeFile(join(folder, 'x'), '')
  expect(await readdir(folder)).toEqual(['x'])
})

test('a thread that dies fails what is under way and what comes after, and the pool can be closed', async () => {
  const { folder, pool } = await place()
  const post = vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (
    this: Worker,
  ) {
    void this.terminate()
  })
  onTestFinished(() => post.mockRestore())
  const bytes = Buffer.from('text')
  const file = wanted(join(folder, 'file'), bytes, [{ bytes }])
  for (let i = 0; i < 2; i++)
    await expect(pool.place([file], null)).rejects.toMatchObject({ code: 'INTERNAL' })
  post.mockRestore()
  await expect(pool.prove([file])).rejects.toMatchObject({ code: 'INTERNAL' })
})
