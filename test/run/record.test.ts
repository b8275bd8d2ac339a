import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { recordedFile } from '../../schemas/index.ts'
import { recordExpectations } from '../../src/run/record.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { makeSource } from './folder-source.ts'
import { Workbench } from './workbench.ts'

let bench: Workbench
let author: string
beforeEach(() => {
  bench = new Workbench()
  author = join(bench.folder, 'author')
  mkdirSync(author)
})
afterEach(() => bench.remove())

const source = makeSource({
  files: { 'mine.txt': 'mine' },
  apps: {
    default: {
      command: [
        'sh',
        '-c',
        'mkdir out/sub; echo "$1" > out/sub/a; echo 2 > out/mine; echo 3 > out/b',
        'sh',
      ],
      params: { word: { type: 'string', default: 'one', positional: 1 } },
      outputs: [
        { path: 'sub/a', compare: 'exact' },
        {
          path: 'mine',
          compare: 'text',
          ignore: [],
          expect: { path: 'mine.txt', blake3: blake3('mine') },
        },
        { path: 'b', compare: 'exists' },
        { path: 'absent', compare: 'exact', optional: true },
      ],
    },
    short: { command: ['true'], outputs: [{ path: 'never', compare: 'exact' }] },
    fails: { command: ['false'] },
  },
})

async function record(app = 'default', set: string[] = []) {
  const run = await bench.run(source, { runtime: 'host', set }, app)
  const work = recordExpectations(author, source.manifest, run)
  for (;;) {
    const step = await work.next()
    if (step.done) return { run, noted: step.value }
  }
}

test('outputs become expectations, with a note of the image and the runtime', async () => {
  const { noted, run } = await record()
  expect(readFileSync(join(author, 'expected/default/sub/a'), 'utf8')).toBe('one\n')
  expect(existsSync(join(author, 'expected/default/mine'))).toBe(false)
  expect(existsSync(join(author, 'expected/default/b'))).toBe(false)
  const file = recordedFile.parse(
    JSON.parse(readFileSync(join(author, '.repro/recorded.json'), 'utf8')),
  )
  expect(file.apps).toEqual({ default: noted })
  expect(noted).toMatchObject({
    image: null,
    runtime: 'host',
    recordedAt: run.receipt.finishedAt,
    params: { word: 'one' },
    outputs: { 'sub/a': { file: 'expected/default/sub/a', blake3: blake3('one\n'), size: 4 } },
  })
})

test('notes of other apps stay, those of apps that are gone do not', async () => {
  mkdirSync(join(author, '.repro'))
  const { noted } = await record()
  const file = { format: 0, apps: { short: noted, gone: noted } }
  writeFileSync(join(author, '.repro/recorded.json'), JSON.stringify(file))
  await record()
  const after = recordedFile.parse(
    JSON.parse(readFileSync(join(author, '.repro/recorded.json'), 'utf8')),
  )
  expect(Object.keys(after.apps).sort()).toEqual(['default', 'short'])
})

test('a failed run, a missing output and other parameters are not recorded', async () => {
  await expect(record('fails')).rejects.toMatchObject({ code: 'APP_FAILED' })
  await expect(record('short')).rejects.toMatchObject({
    code: 'APP_FAILED',
    message: expect.stringContaining('"never"'),
  })
  await expect(record('default', ['word=two'])).rejects.toMatchObject({ code: 'USAGE' })
  expect(existsSync(join(author, '.repro'))).toBe(false)
  expect(existsSync(join(author, 'expected'))).toBe(false)
})

test('a link in the author’s folder is not followed to elsewhere', async () => {
  mkdirSync(join(bench.folder, 'elsewhere'))
  symlinkSync('../elsewhere', join(author, 'expected'))
  await expect(record()).rejects.toMatchObject({ code: 'PATH_UNSAFE' })
  expect(existsSync(join(bench.folder, 'elsewhere', 'default'))).toBe(false)
})
