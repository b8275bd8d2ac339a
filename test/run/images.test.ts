import { createHash } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ResolvedApp } from '../../schemas/index.ts'
import { type ImportedImage, importImage } from '../../src/image/import-image.ts'
import { executeStage } from '../../src/run/execute-stage.ts'
import { removeDamagedRootfs } from '../../src/run/rootfs-state.ts'
import { runRelease } from '../../src/run/run.ts'
import { stageFolder, stageRelease } from '../../src/run/stage.ts'
import { probeRuntimes } from '../../src/runtime/probe.ts'
import { requires } from '../helpers/requires.ts'
import { makeSource, type TestSource } from './folder-source.ts'
import { finish, Workbench } from './workbench.ts'

let images: string
let image: ImportedImage
let working: string[]
let bench: Workbench

beforeAll(async () => {
  images = mkdtempSync(join(tmpdir(), 'repro-run-image-'))
  const work = importImage(
    { host: ['sh', 'cat', 'sort', 'sleep', 'env', 'touch', 'mkdir', 'rm'] },
    { folder: images, cache: images },
  )
  let step = await work.next()
  while (!step.done) step = await work.next()
  image = step.value
  const reports = await probeRuntimes({ cache: images })
  working = reports
    .filter(report => report.works && report.name !== 'host')
    .map(report => report.name)
})
afterAll(() => rmSync(images, { recursive: true, force: true }))
beforeEach(() => {
  bench = new Workbench()
})
afterEach(() => bench.remove())

function sourceOf(
  script: string,
  { extra = [], ...more }: Partial<ResolvedApp> & { extra?: string[] } = {},
): TestSource {
  return makeSource({
    files: { 'data/a.txt': 'b\na\n', 'expected/o': 'a\nb\n' },
    images: { tools: image },
    apps: {
      default: {
        image: 'tools',
        command: ['sh', '-c', script, ...extra],
        outputs: [{ path: 'o', compare: 'exact' }],
        ...more,
      },
    },
  })
}

test('another configuration under the digest of an image is refused, also when the image is here', async () => {
  const config = '{"config":{"Env":["PATH=/evil"]}}'
  const hex = createHash('sha256').update(config).digest('hex')
  const evil = makeSource({
    files: { [`.repro/images/tools/blobs/sha256/${hex}`]: config },
    images: {
      tools: { ...image, resolved: { ...image.resolved, config: `sha256:${hex}` } },
    },
    apps: { default: { image: 'tools', command: ['true'] } },
  })
  const stage = async (source: TestSource) => {
    const work = stageRelease(source, 'default', { cache: bench.cache })
    for (let step = await work.next(); !step.done; ) step = await work.next()
  }
  await expect(stage(evil)).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
  await stage(sourceOf('true'))
  await expect(stage(evil)).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
})

test('first runs that start at once, on no image and on a damaged one, take nothing from each other', async context => {
  const runtime = (['bubblewrap', 'unshare', 'podman'] as const).find(name =>
    working.includes(name),
  )
  if (!runtime) return context.skip('no runtime works here')
  const source = sourceOf('sleep 0.2; sort data/a.txt > out/o; cat data/a.txt > /dev/null')
  const many = async (count: number) => {
    const runs = Array.from({ length: count }, () => bench.run(source, { runtime }))
    for (const { receipt, stderr } of await Promise.all(runs))
      expect([receipt.verdict, stderr]).toEqual(['reproduced', ''])
  }
  await many(8)
  const rootfs = join(bench.cache, 'rootfs', image.resolved.digest.replace('sha256:', ''))
  const file = readdirSync(join(rootfs, 'usr'), { recursive: true, encoding: 'utf8' })
    .map(path => join(rootfs, 'usr', path))
    .find(path => /\/(cat|coreutils)$/.test(path))
  appendFileSync(file!, 'x')
  await many(4)
  expect(readdirSync(join(bench.cache, 'tmp'))).toEqual([])
  expect(readdirSync(join(bench.cache, 'rootfs'))).toHaveLength(3)
})

test('an image that another run unpacked is used as it is, and one of no known making is unpacked again', async () => {
  const source = sourceOf('true')
  const stage = async () => {
    const work = stageRelease(source, 'default', { cache: bench.cache })
    for (;;) {
      const step = await work.next()
      if (step.done) return step.value
    }
  }
  const made = await stage()
  const rootfs = made.rootfs!
  const birth = () => statSync(rootfs, { bigint: true }).birthtimeNs
  // A run that has no stage yet finds the image of another.
  const first = birth()
  rmSync(made.folder, { recursive: true })
  await stage()
  expect(birth()).toBe(first)
  rmSync(made.folder, { recursive: true })
  rmSync(`${rootfs}.json`)
  writeFileSync(join(rootfs, 'left over'), '')
  await stage()
  expect(existsSync(join(rootfs, 'left over'))).toBe(false)
  // What was found damaged and is whole at the second look stays: another run may be executing in it.
  const second = birth()
  await Promise.all([1, 2, 3].map(() => removeDamagedRootfs(rootfs, bench.cache)))
  expect(birth()).toBe(second)
  rmSync(join(rootfs, 'usr'), { recursive: true })
  await Promise.all([1, 2, 3].map(() => removeDamagedRootfs(rootfs, bench.cache)))
  expect(existsSync(rootfs)).toBe(false)
  expect(readdirSync(join(bench.cache, 'tmp'))).toEqual([])
})

function processesWith(text: string): string[] {
  return readdirSync('/proc').filter(name => {
    if (!/^\d+$/.test(name)) return false
    try {
      return readFileSync(`/proc/${name}/environ`, 'latin1').includes(text)
    } catch (error) {
      // It ended while we looked, or it is somebody else's.
      return (error as NodeJS.ErrnoException).code === undefined
    }
  })
}

test.for(['bubblewrap', 'unshare', 'podman'] as const)(
  '%s: the same bundle gives the same outputs, inputs are read-only, own data is seen',
  async (name, context) => {
    if (!working.includes(name)) context.skip(`${name} does not work here`)
    const source = sourceOf('sort data/a.txt > out/o; echo x > data/a.txt || cat "$1" > out/own', {
      extra: ['sh'],
      params: { own: { type: 'file', default: 'data/a.txt', positional: 1 } },
    })
    const first = await bench.run(source, { runtime: name })
    expect(first.receipt).toMatchObject({
      verdict: 'reproduced',
      runtime: { name, fidelity: 'image-isolated' },
      image: { name: 'tools', digest: image.resolved.digest },
      inputs: { unchangedAfterRun: true },
      network: 'none',
    })
    expect(first.stderr).toMatch(/read-only/i)
    writeFileSync(join(bench.folder, 'my data.txt'), 'own')
    const second = await bench.run(source, { runtime: name, set: ['own=my data.txt'] })
    expect(second.receipt).toMatchObject({
      verdict: 'nothing declared',
      inputs: { checked: 'stat' },
    })
    expect(readFileSync(join(second.folder, 'out', 'own'), 'utf8')).toBe('own')
    expect(JSON.stringify(second.receipt)).not.toContain(bench.folder)
  },
)

test('an unpacked image that was tampered with is refused alone, and unpacked again from the release', async context => {
  requires(context, 'user namespaces')
  if (working.length === 0) context.skip('no runtime works here')
  const source = sourceOf('sort data/a.txt > out/o')
  await bench.run(source)
  const rootfs = join(bench.cache, 'rootfs', image.resolved.digest.slice('sha256:'.length))
  appendFileSync(join(rootfs, 'etc', 'passwd'), 'evil:x:0:0::/:/bin/sh\n')
  const folder = stageFolder(bench.cache, source.identity.contentHash, 'default')
  const alone = finish(executeStage(folder, bench.options()))
  await expect(alone).rejects.toMatchObject({
    code: 'HASH_MISMATCH',
    message: expect.stringContaining('changed image'),
  })
  const { receipt } = await bench.run(source)
  expect(receipt).toMatchObject({ verdict: 'reproduced' })
  expect(readFileSync(join(rootfs, 'etc', 'passwd'), 'utf8')).not.toContain('evil')
  writeFileSync(join(rootfs, 'usr', 'bin', 'extra'), '')
  await expect(finish(executeStage(folder, bench.options()))).rejects.toMatchObject({
    code: 'HASH_MISMATCH',
  })
})

test('PATH is the image’s own, or ours where it names none; the rest is the same everywhere', async context => {
  if (working.length === 0) context.skip('no runtime works here')
  const { stdout } = await bench.run(sourceOf('env; : > out/o'))
  expect(stdout).toMatch(/^PATH=.*\/bin/m)
  expect(stdout).toContain('REPRO_OUT=/repro/bundle/out\n')
  expect(stdout).toContain('HOME=/tmp\n')
  expect(stdout).toContain('REPRO_APP=default\n')
})

test.for(['host', 'image'])(
  '%s: Ctrl-C ends the whole tree and leaves a receipt that says so',
  async (where, context) => {
    const source = sourceOf('sleep 300 & sleep 300 & echo ready; wait')
    if (where === 'image' && working.length === 0) context.skip('no runtime works here')
    const stop = new AbortController()
    const options = bench.options({
      signal: stop.signal,
      graceMs: 500,
      ...(where === 'host' ? { runtime: 'host' as const } : {}),
    })
    const { receipt } = await finish(runRelease(source, 'default', options), record => {
      if (record.action === 'stdout') stop.abort()
    })
    expect(receipt).toMatchObject({
      outcome: 'interrupted',
      verdict: 'failed',
      outputs: [{ status: expect.stringMatching(/not compared|missing/) }],
    })
    expect(processesWith(`REPRO_RUN_ID=${receipt.id}`)).toEqual([])
  },
)

test.for(['host', 'image'])('%s: the time limit ends the whole tree', async (where, context) => {
  const source = sourceOf('sleep 300 & sleep 300; echo never', { resources: { timeMs: 700 } })
  if (where === 'image' && working.length === 0) context.skip('no runtime works here')
  const { receipt, stdout } = await bench.run(source, {
    graceMs: 300,
    ...(where === 'host' ? { runtime: 'host' as const } : {}),
  })
  expect(receipt).toMatchObject({
    outcome: 'timeout',
    verdict: 'failed',
    limits: { time: { requested: 700, enforced: true } },
  })
  expect(stdout).toBe('')
  expect(processesWith(`REPRO_RUN_ID=${receipt.id}`)).toEqual([])
})

test('a consumer that stops listening ends the app', async () => {
  const source = sourceOf('echo ready; sleep 300')
  const work = runRelease(source, 'default', bench.options({ runtime: 'host', graceMs: 200 }))
  let id = ''
  for await (const record of work) {
    if (record.action === 'execute') id = String(record.data?.['run'])
    if (record.action === 'stdout') break
  }
  expect(id).not.toBe('')
  expect(processesWith(`REPRO_RUN_ID=${id}`)).toEqual([])
})

test('an image that is there twice is unpacked once, for all apps and releases', async context => {
  if (working.length === 0) context.skip('no runtime works here')
  await bench.run(sourceOf('sort data/a.txt > out/o'))
  const other = sourceOf('cat data/a.txt > out/o')
  const { receipt } = await bench.run(other)
  expect(receipt.verdict).toBe('differs')
  // Its manifest and configuration, which are small: no layer.
  const layers = image.resolved.layers.map(layer => layer.digest.replace('sha256:', ''))
  expect(other.fetched.filter(path => layers.some(hex => path.endsWith(hex)))).toEqual([])
  expect(readdirSync(join(bench.cache, 'rootfs')).filter(name => !name.includes('.'))).toHaveLength(
    1,
  )
})
