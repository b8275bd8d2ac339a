import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { verifyReceipt } from '../../src/run/receipt.ts'
import { planRelease, runRelease } from '../../src/run/run.ts'
import { findRun, listRuns } from '../../src/run/runs.ts'
import { openSeed } from '../../src/system/seed.ts'
import { signingKeyFromSeed } from '../../src/system/signing.ts'
import { makeSource } from './folder-source.ts'
import { finish, Workbench } from './workbench.ts'

let bench: Workbench
beforeEach(() => {
  bench = new Workbench()
})
afterEach(() => bench.remove())

const host = { runtime: 'host' as const }
const sh = (script: string) => ['sh', '-c', script]

const counting = makeSource({
  files: {
    'data/a.txt': 'b\na\n',
    'data/unused.bin': 'x'.repeat(1000),
    'code/count.sh': 'sort data/a.txt > "$REPRO_OUT/sorted.txt"; echo done',
    'expected/sorted.txt': 'a\nb\n',
  },
  links: { 'data/link.txt': 'a.txt' },
  apps: {
    default: {
      command: ['sh', 'code/count.sh'],
      inputs: { include: ['code/**', 'data/a.txt', 'data/link.txt'], exclude: [] },
      outputs: [{ path: 'sorted.txt', compare: 'exact' }],
    },
  },
})

test('runs an app, compares what it wrote, and leaves a receipt that verifies', async () => {
  const { receipt, folder, stdout } = await bench.run(counting, host)
  expect(receipt).toMatchObject({
    verdict: 'reproduced',
    outcome: 'completed',
    exitCode: 0,
    runtime: { name: 'host', fidelity: 'host' },
    contentHash: counting.identity.contentHash,
    inputs: { files: 2, checked: 'hashed' },
    outputs: [{ path: 'sorted.txt', status: 'equal' }],
  })
  expect(stdout).toBe('done\n')
  expect(readFileSync(join(folder, 'stdout.log'), 'utf8')).toBe('done\n')
  expect(readFileSync(join(folder, 'out', 'sorted.txt'), 'utf8')).toBe('a\nb\n')
  expect(readdirSync(folder).sort()).toEqual([
    'out',
    'receipt.json',
    'run.json',
    'stderr.log',
    'stdout.log',
  ])
  const written: unknown = JSON.parse(readFileSync(join(folder, 'receipt.json'), 'utf8'))
  expect(verifyReceipt(written)).toEqual(receipt)
  const key = signingKeyFromSeed((await openSeed(bench.home)).derive('receipt'))
  expect(receipt.signer).toBe(key.publicKey)
})

test('fetches what the app needs and nothing else, and nothing the second time', async () => {
  counting.fetched.length = 0
  await bench.run(counting, host)
  expect(counting.fetched.sort()).toEqual(['code/count.sh', 'data/a.txt', 'expected/sorted.txt'])
  counting.fetched.length = 0
  const { receipt } = await bench.run(counting, host)
  expect(counting.fetched).toEqual([])
  expect(receipt).toMatchObject({ verdict: 'reproduced', inputs: { checked: 'stat' } })
  const again = await bench.run(counting, { ...host, rehash: true })
  expect(again.receipt.inputs.checked).toBe('hashed')
})

test('an output that differs is told with its place', async () => {
  const source = makeSource({
    files: { 'expected/t.tsv': 'n\tv\na\t1\n' },
    apps: {
      default: {
        command: sh('printf "n\\tv\\na\\t2\\n" > out/t.tsv'),
        outputs: [
          { path: 't.tsv', compare: 'table', rtol: 1e-6, atol: 0, ignore: [] },
          { path: 'never.txt', compare: 'exists' },
          { path: 'maybe.txt', compare: 'exists', optional: true },
        ],
      },
    },
  })
  const { receipt } = await bench.run(source, host)
  expect(receipt.verdict).toBe('differs')
  expect(receipt.outputs).toMatchObject([
    { status: 'differs', at: { line: 2, column: 2 }, maxAbsolute: 1, differences: 1 },
    { status: 'missing' },
    { status: 'not compared' },
  ])
})

test('an output that nothing is expected of keeps the rest from being called reproduced', async () => {
  const source = makeSource({
    files: { 'expected/a': '1', 'expected/b': '2' },
    apps: {
      default: {
        command: sh('printf 1 > out/a; printf 2 > out/new'),
        outputs: [
          { path: 'a', compare: 'exact' },
          { path: 'new', compare: 'exact' },
          { path: 'b', compare: 'exact', optional: true },
        ],
      },
    },
  })
  const { receipt, departures } = await bench.run(source, host)
  expect(receipt).toMatchObject({
    verdict: 'nothing declared',
    note: expect.stringMatching(/"new".*repro run \. --record/),
    outputs: [{ status: 'equal' }, { status: 'not compared' }, { status: 'not compared' }],
  })
  expect(departures).toEqual([])
})

test('an app that fails keeps its exit code, its output and a receipt', async () => {
  const source = makeSource({
    files: {},
    apps: {
      default: {
        command: sh('echo sorry >&2; exit 3'),
        outputs: [{ path: 'x', compare: 'exists' }],
      },
      killed: { command: sh('kill -9 $$') },
      absent: { command: ['no-such-program-anywhere'] },
    },
  })
  const failed = await bench.run(source, host)
  expect(failed.receipt).toMatchObject({
    verdict: 'failed',
    outcome: 'exit code',
    exitCode: 3,
    outputs: [{ status: 'missing' }],
  })
  expect(failed.stderr).toBe('sorry\n')
  const killed = await bench.run(source, host, 'killed')
  expect(killed.receipt).toMatchObject({ verdict: 'failed', outcome: 'signal', signal: 'SIGKILL' })
  const absent = await bench.run(source, host, 'absent')
  expect(absent.receipt.verdict).toBe('failed')
})

test('the environment is small, the same everywhere, and the manifest cannot take our names', async () => {
  process.env['REPRO_TEST_SECRET'] = 'leaked'
  const source = makeSource({
    files: {},
    apps: {
      default: {
        command: ['env'],
        env: { GREETING: 'hello', REPRO_OUT: '/etc', LC_ALL: 'C' },
        params: { level: { type: 'int', default: 3, env: 'LEVEL' } },
      },
    },
  })
  const { stdout, folder } = await bench.run(source, host)
  delete process.env['REPRO_TEST_SECRET']
  const env = Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map(line => line.split(/=(.*)/s)),
  )
  expect(Object.keys(env).sort()).toEqual(
    [
      ...['GREETING', 'HOME', 'LC_ALL', 'LEVEL', 'LOGNAME', 'PATH', 'PWD', 'SOURCE_DATE_EPOCH'],
      ...['REPRO_APP', 'REPRO_CONTENT_HASH', 'REPRO_OUT', 'REPRO_RUN_ID', 'TMPDIR', 'TZ', 'USER'],
    ].sort(),
  )
  expect(env).toMatchObject({ GREETING: 'hello', LEVEL: '3', LC_ALL: 'C', TZ: 'UTC' })
  expect(env['REPRO_OUT']).toBe(join(folder, 'bundle', 'out'))
})

test('a wrong parameter, app or pattern is refused before anything is fetched', async () => {
  const source = makeSource({
    files: { a: '1' },
    apps: {
      default: { command: ['true'], params: { n: { type: 'int', max: 3, flag: '-n' } } },
      bad: { command: ['true'], outputs: [{ path: 'x', compare: 'text', ignore: ['(?=x)'] }] },
    },
  })
  await expect(bench.run(source, { ...host, set: ['n=4'] })).rejects.toMatchObject({
    code: 'PARAM_INVALID',
  })
  await expect(bench.run(source, host, 'defalt')).rejects.toMatchObject({ code: 'APP_UNKNOWN' })
  await expect(bench.run(source, host, 'bad')).rejects.toMatchObject({ code: 'MANIFEST_INVALID' })
  expect(source.fetched).toEqual([])
  expect(existsSync(join(bench.home, 'runs'))).toBe(false)
})

test('an image for another processor is refused before it is fetched, naming both', async () => {
  const source = makeSource({
    files: { a: '1' },
    apps: { default: { command: ['true'], image: 'far' } },
  })
  const digest = `sha256:${'0'.repeat(64)}` as const
  Object.assign(source.manifest.images, {
    far: {
      digest,
      config: digest,
      architecture: process.arch === 's390x' ? 'amd64' : 's390x',
      os: 'linux',
      layers: [{ digest, size: 1 }],
      origin: { kind: 'oci-layout' },
    },
  })
  const refused = bench.run(source)
  await expect(refused).rejects.toMatchObject({
    code: 'NO_RUNTIME',
    message: expect.stringMatching(/"far" is for \w+ processors, and this host is \w+/),
  })
  expect(source.fetched).toEqual([])
})

test('what the runtime did not hold is in the plan and in the receipt', async () => {
  const source = makeSource({
    files: {},
    apps: {
      default: { command: ['true'], resources: { cpus: 1, memoryBytes: 1e8 } },
      online: { command: ['true'], network: 'host' },
    },
  })
  const { receipt, records } = await bench.run(source, host)
  expect(receipt.limits).toMatchObject({ cpus: { enforced: false }, memory: { enforced: false } })
  // Where this host can, it keeps the app off the network even without an image.
  const isOnline = receipt.network === 'host'
  expect(receipt.note).toBe(
    isOnline ? 'it could use the network, which its author did not ask for' : undefined,
  )
  expect(records.filter(({ action }) => action === 'warning')).toHaveLength(isOnline ? 1 : 0)
  const online = await bench.run(source, { ...host, allowNetwork: true }, 'online')
  expect(online.receipt.note).toBeUndefined()
  expect(Object.keys(receipt.host).sort()).toEqual(
    ['architecture', 'cpuModel', 'cpus', 'kernel', 'memoryBytes'].sort(),
  )
})

test('without an image the host is used only when asked for by name', async () => {
  const refused = bench.run(counting)
  await expect(refused).rejects.toMatchObject({
    code: 'NO_RUNTIME',
    message: expect.stringContaining('only when asked for by name'),
  })
  await expect(bench.run(counting, { runtime: 'enroot' })).rejects.toMatchObject({
    code: 'NO_RUNTIME',
  })
  await expect(bench.run(counting, { ...host, minFidelity: 'image' })).rejects.toMatchObject({
    code: 'NO_RUNTIME',
  })
})

test('with the reader’s own data the verdict is "nothing declared" and the receipt names no path of theirs', async () => {
  const source = makeSource({
    files: { 'mine.txt': 'default', 'expected/o': 'default' },
    apps: {
      default: {
        command: sh('cat "$1" > out/o').concat('sh'),
        params: { data: { type: 'file', default: 'mine.txt', positional: 1 } },
        outputs: [{ path: 'o', compare: 'exact' }],
      },
    },
  })
  expect((await bench.run(source, host)).receipt.verdict).toBe('reproduced')
  writeFileSync(join(bench.folder, 'private.txt'), 'own')
  const { receipt, folder } = await bench.run(source, { ...host, set: ['data=private.txt'] })
  expect(receipt.verdict).toBe('nothing declared')
  expect(receipt.note).toContain('data')
  expect(receipt.outputs[0]!.status).toBe('not compared')
  expect(readFileSync(join(folder, 'out', 'o'), 'utf8')).toBe('own')
  expect(JSON.stringify(receipt)).not.toContain(bench.folder)
  const named = await bench.run(source, { ...host, withHost: true, set: ['data=private.txt'] })
  expect(named.receipt.host.name).toBeTruthy()
  expect(JSON.stringify(named.receipt)).toContain(bench.folder)
})

test('outputs go to a folder of the reader when asked, unless something lies there', async () => {
  const out = join(bench.folder, 'results')
  const { receipt, folder } = await bench.run(counting, { ...host, out })
  expect(receipt.verdict).toBe('reproduced')
  expect(readFileSync(join(out, 'sorted.txt'), 'utf8')).toBe('a\nb\n')
  expect(existsSync(join(folder, 'out'))).toBe(false)
  await expect(bench.run(counting, { ...host, out })).rejects.toMatchObject({
    code: 'TARGET_CHANGED',
  })
})

test('an app that puts a link in the place of its out folder gains nothing', async () => {
  const outside = join(bench.folder, 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'o'), 'precious')
  const source = makeSource({
    files: {},
    apps: {
      default: {
        command: sh(`rm -r out && ln -s ${outside} out`),
        outputs: [{ path: 'o', compare: 'exists' }],
      },
    },
  })
  const { receipt } = await bench.run(source, host)
  expect(receipt.outputs[0]!.status).toBe('missing')
  expect(readFileSync(join(outside, 'o'), 'utf8')).toBe('precious')
})

test('a host app works on a copy: the stage stays as it was', async () => {
  const source = makeSource({
    files: { 'a.txt': 'original' },
    apps: { default: { command: sh('echo changed > a.txt; cat a.txt') } },
  })
  expect((await bench.run(source, host)).stdout).toBe('changed\n')
  const { receipt, records } = await bench.run(source, host)
  expect(receipt.inputs.checked).toBe('stat')
  expect(records.some(record => record.action === 'warning')).toBe(false)
})

test('characters that are cut between two writes arrive whole', async () => {
  const source = makeSource({
    files: {},
    apps: { default: { command: sh(String.raw`printf 'a\303'; sleep 0.2; printf '\251b'`) } },
  })
  const { stdout, folder } = await bench.run(source, host)
  expect(stdout).toBe('aéb')
  expect(readFileSync(join(folder, 'stdout.log'))).toEqual(Buffer.from('aéb'))
})

test('runs are listed newest first, and broken ones do not hide the others', async () => {
  const first = await bench.run(counting, host)
  const second = await bench.run(counting, host)
  const runs = join(bench.home, 'runs')
  mkdirSync(join(runs, '20200101T000000000Z-000000'))
  mkdirSync(join(runs, '20200101T000001000Z-000000'))
  writeFileSync(join(runs, '20200101T000001000Z-000000', 'receipt.json'), '{"half":')
  symlinkSync('/nonexistent', join(runs, 'unrelated'))
  const list = await listRuns(bench.home)
  const ids = [first.receipt.id, second.receipt.id].sort().reverse()
  expect(list.map(run => run.id)).toEqual([
    ...ids,
    '20200101T000001000Z-000000',
    '20200101T000000000Z-000000',
  ])
  expect(list.map(run => run.state)).toEqual(['complete', 'complete', 'incomplete', 'incomplete'])
  expect(list[2]!.fault).toContain('broken')
  expect((await findRun(bench.home, first.receipt.id)).receipt).toEqual(first.receipt)
  await expect(findRun(bench.home, '2020')).rejects.toMatchObject({ code: 'USAGE' })
  await expect(findRun(bench.home, '1999')).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('a receipt that was changed does not verify', async () => {
  const { receipt } = await bench.run(counting, host)
  const changed = { ...receipt, verdict: 'within tolerance' as const }
  expect(() => verifyReceipt(changed)).toThrow(
    expect.objectContaining({ code: 'SIGNATURE_INVALID' }),
  )
  const other = { ...receipt, signer: 'ab'.repeat(32) }
  expect(() => verifyReceipt(other)).toThrow(expect.objectContaining({ code: 'SIGNATURE_INVALID' }))
  expect(() => verifyReceipt({ ...receipt, extra: 1 })).toThrow(
    expect.objectContaining({ code: 'RECORD_INVALID' }),
  )
})

test('an interrupt while outputs are compared leaves a receipt that says so', async () => {
  const stop = new AbortController()
  const source = makeSource({
    files: { 'expected/a.txt': 'a\n', 'expected/b.txt': 'b\n' },
    apps: {
      default: {
        command: sh('echo a > $REPRO_OUT/a.txt; echo b > $REPRO_OUT/b.txt'),
        outputs: [
          { path: 'a.txt', compare: 'exact' },
          { path: 'b.txt', compare: 'exact' },
        ],
      },
    },
  })
  const options = bench.options({ ...host, signal: stop.signal })
  const { receipt } = await finish(runRelease(source, 'default', options), record => {
    if (record.action === 'compare') stop.abort()
  })
  expect(receipt).toMatchObject({
    outcome: 'interrupted',
    verdict: 'failed',
    exitCode: 0,
    outputs: [
      { path: 'a.txt', status: 'equal' },
      { path: 'b.txt', status: 'not compared', message: 'the run was interrupted' },
    ],
  })
})

test('a plan says what would be done, and does nothing', async () => {
  const work = planRelease(counting, 'default', bench.options({ ...host, extraArgs: ['-x'] }))
  let step = await work.next()
  while (!step.done) step = await work.next()
  expect(step.value).toMatchObject({
    runtime: { name: 'host' },
    command: ['sh', 'code/count.sh', '-x'],
    env: { REPRO_OUT: '$RUN/bundle/out' },
    notes: ['the app runs on the host itself: its programs are those of this host'],
  })
  expect(JSON.parse(JSON.stringify(step.value))).toEqual(step.value)
  expect(existsSync(join(bench.home, 'runs'))).toBe(false)
  expect(existsSync(join(bench.cache, 'stages'))).toBe(false)
})

const leaving = makeSource({
  files: { 'a.txt': 'a' },
  apps: {
    default: {
      command: sh(
        'cp /bin/sh "$REPRO_OUT/sh"; chmod 6757 "$REPRO_OUT/sh"; chmod 777 "$REPRO_OUT"; mkdir "$REPRO_OUT/d"; echo x > "$REPRO_OUT/d/f"; chmod 666 "$REPRO_OUT/d/f"; chmod 077 "$REPRO_OUT/d"; ln -s /etc "$REPRO_OUT/l"',
      ),
      inputs: { include: ['**'], exclude: [] },
      outputs: [{ path: 'sh', compare: 'exists' }],
    },
  },
})

test.each(['own', 'named'] as const)(
  'leaves no set-uid program and nothing that all can write in an out folder of its %s',
  async kind => {
    if (kind === 'own') {
      const { receipt, out, folder } = await bench.run(leaving, host)
      const mode = (path: string) => statSync(join(out, path)).mode & 0o7777
      expect([mode('sh'), mode('d'), mode('d/f'), mode('.')]).toEqual([0o755, 0o775, 0o664, 0o755])
      expect(statSync(folder).mode & 0o777).toBe(0o700)
      expect(receipt.note).toContain('set-uid')
    } else {
      const named = join(bench.folder, 'named')
      const { out } = await bench.run(leaving, { ...host, out: named })
      expect(readdirSync(out).sort()).toEqual(['d', 'l', 'sh'])
      expect(statSync(join(out, 'sh')).mode & 0o7777).toBe(0o755)
    }
  },
)
