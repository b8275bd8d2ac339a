import {
  appendFileSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { blake3 } from '../../src/system/blake3.ts'
import { formatFileState } from '../../src/system/file-state.ts'
import type { IngestEvent, SourceFile } from '../../src/system/ingest-events.ts'
import { IngestPool } from '../../src/system/ingest-pool.ts'
import { scratch } from '../helpers/scratch.ts'
import { noise } from './noise.ts'

const KIB = 1024
const MIB = KIB * KIB
/** Says that there is much to do, so that threads are started, and sends large files through two. */
const MUCH = { expectedBytes: 1e9, expectedFiles: 1000, leaves: () => true }
const LITTLE = { expectedBytes: 1, expectedFiles: 1 }

function fileOf(folder: string, path: string, bytes: Uint8Array): SourceFile {
  const absolute = join(folder, path)
  mkdirSync(join(absolute, '..'), { recursive: true })
  writeFileSync(absolute, bytes)
  return sourceOf(path, absolute)
}

function sourceOf(path: string, absolute: string): SourceFile {
  const stats = statSync(absolute, { bigint: true })
  return { path, absolute, size: Number(stats.size), state: formatFileState(stats) }
}

interface Read {
  blake3: string
  bytes: Buffer | null
  sizes: number[]
}

async function readAll(
  pool: IngestPool,
  files: readonly SourceFile[],
): Promise<{ read: Map<number, Read>; faults: Map<number, unknown>; order: string[] }> {
  const read = new Map<number, Read>()
  const faults = new Map<number, unknown>()
  const order: string[] = []
  let open: { index: number; parts: Buffer[]; sizes: number[] } | null = null
  for await (const event of pool.run(files)) {
    order.push(event.type)
    if (event.type === 'files') {
      expect(open).toBeNull()
      for (const { index, hashed, bytes } of event.files) {
        expect(hashed.size).toBe(files[index]!.size)
        expect(hashed.state).toBe(files[index]!.state)
        read.set(index, {
          blake3: hashed.blake3,
          bytes: bytes && Buffer.from(bytes),
          sizes: [hashed.size],
        })
      }
      event.done()
    } else if (event.type === 'blocks') {
      open ??= { index: event.index, parts: [], sizes: [] }
      expect(event.index).toBe(open.index)
      for (const block of event.blocks) {
        expect(block.blake3.toString('hex')).toBe(blake3(block.bytes))
        open.parts.push(Buffer.from(block.bytes))
        open.sizes.push(block.bytes.length)
      }
      event.done()
    } else if (event.type === 'end') {
      expect(event.index).toBe(open!.index)
      read.set(event.index, {
        blake3: event.hashed.blake3,
        bytes: Buffer.concat(open!.parts),
        sizes: open!.sizes,
      })
      open = null
    } else if (event.type === 'fault') {
      faults.set(event.index, event.error)
      if (open?.index === event.index) open = null
    }
  }
  expect(open).toBeNull()
  return { read, faults, order }
}

const codeOf = (error: unknown) => (error as { code?: string } | undefined)?.code

test('threads and the calling thread give every file whole, with the same blocks and hashes', async () => {
  const folder = scratch()
  const contents = [
    Buffer.alloc(0),
    Buffer.from('x'),
    noise(64 * KIB),
    noise(64 * KIB + 1, 2),
    noise(9 * MIB, 3),
    Buffer.alloc(5 * MIB),
    ...Array.from({ length: 700 }, (_, i) => noise(i * 23, i)),
    noise(700 * KIB, 4),
  ]
  const files = contents.map((bytes, i) => fileOf(folder, `${i % 7}/${i}`, bytes))
  const results = []
  for (const size of [MUCH, LITTLE]) {
    const pool = new IngestPool({ ...size, bytes: true })
    const { read, faults } = await readAll(pool, files)
    await pool.close()
    expect(faults.size).toBe(0)
    for (const [i, bytes] of contents.entries()) {
      expect(read.get(i)!.bytes!.equals(bytes)).toBe(true)
      expect(read.get(i)!.blake3).toBe(blake3(bytes))
    }
    results.push([...read].sort(([a], [b]) => a - b).map(([, { sizes }]) => sizes))
  }
  expect(results[0]).toEqual(results[1])
  expect(results[0]![4]!.length).toBeGreaterThan(30)
})

test('without bytes only hashes come, of files of any size', async () => {
  const folder = scratch()
  const contents = [noise(3 * MIB), Buffer.alloc(0), noise(70 * MIB, 5), noise(10, 6)]
  const files = contents.map((bytes, i) => fileOf(folder, `${i}`, bytes))
  for (const size of [MUCH, LITTLE]) {
    const pool = new IngestPool({ ...size, bytes: false })
    const { read, order } = await readAll(pool, files)
    await pool.close()
    expect(contents.map((_, i) => read.get(i)!.blake3)).toEqual(contents.map(one => blake3(one)))
    expect([...read.values()].every(one => one.bytes === null)).toBe(true)
    expect(order).toContain('progress')
    expect(order).not.toContain('blocks')
  }
})

test('a file that is not as it was seen is a fault of its own', async () => {
  const folder = scratch()
  const big = noise(2 * MIB)
  const files = ['grown', 'shrunk', 'gone', 'link', 'folder', 'big', 'good', 'large'].map(name =>
    fileOf(folder, name, name === 'big' || name === 'large' ? big : noise(5000)),
  )
  const at = (name: string) => join(folder, name)
  appendFileSync(at('grown'), 'x')
  truncateSync(at('shrunk'), 7)
  appendFileSync(at('big'), 'x')
  for (const name of ['gone', 'link', 'folder']) rmSync(at(name))
  symlinkSync('good', at('link'))
  mkdirSync(at('folder'))
  for (const bytes of [true, false])
    for (const size of [MUCH, LITTLE]) {
      const pool = new IngestPool({ ...size, bytes })
      const { read, faults } = await readAll(pool, files)
      await pool.close()
      expect([...read.keys()].sort()).toEqual([6, 7])
      const codes = [...faults].sort(([a], [b]) => a - b).map(([, error]) => codeOf(error))
      expect(codes).toEqual([
        ...['SOURCE_CHANGED', 'SOURCE_CHANGED', 'ENOENT', 'ELOOP'],
        ...['FILE_UNSUPPORTED', 'SOURCE_CHANGED'],
      ])
    }
})

test('a large file that grows while it is read is a fault, and the next one is whole', async () => {
  const folder = scratch()
  const files = [0, 1].map(i => fileOf(folder, `${i}`, noise(40 * MIB, i)))
  for (const size of [MUCH, LITTLE]) {
    const fresh = files.map(file => sourceOf(file.path, file.absolute))
    const pool = new IngestPool({ ...size, bytes: true })
    const ends: IngestEvent[] = []
    let grown = false
    for await (const event of pool.run(fresh)) {
      if (event.type === 'blocks') {
        if (!grown) appendFileSync(files[0]!.absolute, 'more')
        grown = true
        event.done()
      } else ends.push(event)
    }
    await pool.close()
    const faults = ends.filter(event => event.type === 'fault')
    expect(faults.map(event => [event.index, codeOf(event.error)])).toEqual([[0, 'SOURCE_CHANGED']])
    expect(ends.filter(event => event.type === 'end').map(event => event.index)).toEqual([1])
  }
})

test('without done() reading stops after a few slabs, and goes on with it', async () => {
  const folder = scratch()
  const files = [fileOf(folder, 'one', noise(40 * MIB))]
  for (const size of [MUCH, LITTLE]) {
    const pool = new IngestPool({ ...size, bytes: true })
    const run = pool.run(files)
    const held: (() => void)[] = []
    let bytes = 0
    for (;;) {
      const next = run.next()
      // So much must come, however slow the machine is; after that silence is the end.
      const late = new Promise<'late'>(resolve => setTimeout(resolve, 400, 'late'))
      const step = await (bytes > 8 * MIB ? Promise.race([next, late]) : next)
      if (step !== 'late') {
        const { value } = step
        expect(value.type).toBe('blocks')
        bytes += value.blocks.reduce(
          (sum: number, one: { bytes: Buffer }) => sum + one.bytes.length,
          0,
        )
        held.push(value.done)
        continue
      }
      for (const done of held) done()
      await next
      break
    }
    expect(bytes).toBeGreaterThan(8 * MIB)
    expect(bytes).toBeLessThanOrEqual(24 * MIB)
    await pool.close()
    await expect(run.next()).rejects.toThrow('closed')
  }
})

test('an abort, and a consumer that leaves, end a run in the middle', async () => {
  const folder = scratch()
  const files = [0, 1].map(i => fileOf(folder, `${i}`, noise(40 * MIB, i)))
  for (const size of [MUCH, LITTLE]) {
    const pool = new IngestPool({ ...size, bytes: true })
    const controller = new AbortController()
    const aborted = (async () => {
      for await (const event of pool.run(files, controller.signal))
        if (event.type === 'blocks') controller.abort(new Error('enough'))
    })()
    await expect(aborted).rejects.toThrow('enough')
    for await (const _ of pool.run(files)) break
    const { read } = await readAll(pool, files)
    expect(read.size).toBe(2)
    await pool.close()
  }
})

test('more runs at once than the threads have room for all come to their end', async () => {
  const folder = scratch()
  const files = Array.from({ length: 40 }, (_, i) => fileOf(folder, `${i}`, noise(9000, i)))
  for (const much of [MUCH, LITTLE]) {
    const pool = new IngestPool({ ...much, bytes: false })
    const hashes = await Promise.all(
      files.map(async file => (await readAll(pool, [file])).read.get(0)?.blake3),
    )
    await pool.close()
    expect(hashes).toHaveLength(files.length)
    expect(new Set(hashes).size).toBe(files.length)
  }
})

/** Threads that are started while `work` is done. */
async function threadsOf(work: (threads: Worker[]) => Promise<void>): Promise<Worker[]> {
  const threads: Worker[] = []
  const note = (thread: Worker) => threads.push(thread)
  process.on('worker', note)
  try {
    await work(threads)
  } finally {
    process.off('worker', note)
  }
  return threads
}

/** A thread that is gone has this number. */
const GONE = -1

test('a thread that dies fails the run, and the others are ended', async () => {
  const folder = scratch()
  const files = [0, 1, 2].map(i => fileOf(folder, `${i}`, noise(40 * MIB, i)))
  const pool = new IngestPool({ ...MUCH, bytes: true })
  for (const end of [0, -1]) {
    const threads = await threadsOf(async threads => {
      const reading = (async () => {
        for await (const event of pool.run(files)) {
          if (event.type !== 'blocks') continue
          void threads.at(end)!.terminate()
          event.done()
        }
      })()
      await expect(reading).rejects.toMatchObject({ code: 'INTERNAL' })
    })
    expect(threads.length).toBeGreaterThan(0)
    expect(threads.map(thread => thread.threadId)).toEqual(threads.map(() => GONE))
  }
  expect((await readAll(pool, files)).read.size).toBe(3)
  await pool.close()
})

test('close() in the middle fails the run and leaves no thread', async () => {
  const folder = scratch()
  const files = [0, 1, 2].map(i => fileOf(folder, `${i}`, noise(40 * MIB, i)))
  const many = Array.from({ length: 60 }, (_, i) => files[i % 3]!)
  for (const bytes of [true, false]) {
    const pool = new IngestPool({ ...MUCH, bytes })
    const threads = await threadsOf(async () => {
      const reading = (async () => {
        for await (const event of pool.run(many)) expect(event.type).not.toBe('fault')
      })()
      const failed = expect(reading).rejects.toMatchObject({ code: 'INTERNAL' })
      await new Promise(resolve => setTimeout(resolve, 5))
      await pool.close()
      await failed
    })
    expect(threads.length).toBeGreaterThan(0)
    expect(threads.map(thread => thread.threadId)).toEqual(threads.map(() => GONE))
  }
})
