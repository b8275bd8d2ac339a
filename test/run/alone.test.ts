import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { build } from 'esbuild'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { stageFolder } from '../../src/run/stage.ts'
import { requires } from '../helpers/requires.ts'
import { makeSource } from './folder-source.ts'
import { Workbench } from './workbench.ts'

const root = resolve(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), '../..')
const entry = join(root, 'src/run/execute-stage.ts')

let bench: Workbench
let built: string
beforeEach(() => {
  bench = new Workbench()
  built = mkdtempSync(join(root, 'node_modules', '.repro-alone-'))
})
afterEach(() => {
  bench.remove()
  rmSync(built, { recursive: true, force: true })
})

/** Files and packages reached from a file by imports, those inside of functions too. */
async function graph(file: string): Promise<{ files: string[]; packages: string[] }> {
  const result = await build({
    entryPoints: [file],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outdir: built,
    splitting: true,
    logLevel: 'silent',
    absWorkingDir: root,
  })
  const files = Object.keys(result.metafile.inputs)
  const packages = Object.values(result.metafile.inputs)
    .flatMap(input => input.imports)
    .filter(one => one.external && !one.path.startsWith('node:'))
    .map(one => one.path)
  return { files, packages: [...new Set(packages)].sort() }
}

test('what executes a stage reaches no store, no network and no Holepunch package', async () => {
  const { files, packages } = await graph(entry)
  expect(files.length).toBeGreaterThan(30)
  expect(files).toContain('src/system/start-process.ts')
  const rooms = [...new Set(files.map(file => file.split('/').slice(0, 2).join('/')))]
  const allowed = /^(schemas\/|src\/(core|system|runtime|run|image)$)/
  expect(rooms.filter(room => !allowed.test(room))).toEqual([])
  expect(files.filter(file => /image\/(capture|formats|tar|unpack|import)/.test(file))).toEqual([])
  expect(packages).toEqual(['execa', 'hash-wasm', 'zod'])
})

test('a stage runs from the folder alone, with no native module in the process', async () => {
  const source = makeSource({
    files: { a: 'text', 'expected/o': 'text' },
    apps: {
      default: {
        command: ['sh', '-c', 'cat a > out/o'],
        outputs: [{ path: 'o', compare: 'text', ignore: ['^x'] }],
      },
    },
  })
  await bench.run(source, { runtime: 'host' })
  await build({
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outfile: join(built, 'alone.mjs'),
    logLevel: 'silent',
  })
  const main = join(built, 'main.mjs')
  writeFileSync(
    main,
    `import { executeStage } from './alone.mjs'
const [folder, options] = process.argv.slice(2)
const work = executeStage(folder, JSON.parse(options))
let step = await work.next()
while (!step.done) step = await work.next()
const native = process.report.getReport().sharedObjects.filter(path => path.endsWith('.node'))
console.log(JSON.stringify({ native, receipt: step.value.receipt }))
`,
  )
  const folder = stageFolder(bench.cache, source.identity.contentHash, 'default')
  const options = JSON.stringify(bench.options({ runtime: 'host' }))
  const out = execFileSync(process.execPath, [main, folder, options], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], REPRO_BLAKE3: 'wasm' },
  })
  const { native, receipt } = JSON.parse(out)
  expect(native).toEqual([])
  expect(receipt).toMatchObject({ verdict: 'reproduced', inputs: { checked: 'stat' } })
})

test('a killed run leaves a state that can be read, and what was running is found running', async () => {
  const source = makeSource({
    files: {},
    apps: { default: { command: ['sh', '-c', 'echo $PPID > out/pid; sleep 60'] } },
  })
  // Staged by a run that is ended at once.
  await bench.run(source, { runtime: 'host', timeoutMs: 1, graceMs: 0 })
  await build({
    entryPoints: [entry, join(root, 'src/run/runs.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outdir: built,
    outExtension: { '.js': '.mjs' },
    logLevel: 'silent',
  })
  const main = join(built, 'main.mjs')
  writeFileSync(
    main,
    `import { executeStage } from './execute-stage.mjs'
import { listRuns } from './runs.mjs'
const [folder, text] = process.argv.slice(2)
const options = JSON.parse(text)
for await (const record of executeStage(folder, options)) {
  if (record.action === 'execute') {
    console.log(JSON.stringify(await listRuns(options.home)))
    process.kill(process.pid, 'SIGKILL')
  }
}
`,
  )
  const folder = stageFolder(bench.cache, source.identity.contentHash, 'default')
  const options = JSON.stringify(bench.options({ runtime: 'host' }))
  const killed = spawnSync(process.execPath, [main, folder, options], { encoding: 'utf8' })
  expect(killed.signal).toBe('SIGKILL')
  const during = JSON.parse(killed.stdout)
  expect(during[0]).toMatchObject({ state: 'running', begun: { app: 'default' } })
  const { listRuns } = await import('../../src/run/runs.ts')
  const after = await listRuns(bench.home)
  expect(after[0]).toMatchObject({ id: during[0].id, state: 'incomplete' })
  expect(after[1]).toMatchObject({ state: 'complete', receipt: { outcome: 'timeout' } })
  expect(existsSync(join(after[0]!.folder, 'run.json'))).toBe(true)
  expect(relative(bench.home, after[0]!.folder)).toBe(join('runs', after[0]!.id))
  expect(readFileSync(join(after[0]!.folder, 'run.json'), 'utf8')).not.toContain(bench.folder)
})

test('a disk that fills up while the app prints ends the app, and the next run works', async context => {
  requires(context, 'user namespaces', 'program mount')
  const source = makeSource({
    files: {},
    apps: {
      default: { command: ['sh', '-c', 'head -c 20000000 /dev/zero; sleep 60'] },
    },
  })
  await bench.run(source, { runtime: 'host', timeoutMs: 1, graceMs: 0 })
  await build({
    entryPoints: [entry, join(root, 'src/core/errors.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outdir: built,
    outbase: join(root, 'src'),
    outExtension: { '.js': '.mjs' },
    logLevel: 'silent',
  })
  const main = join(built, 'main.mjs')
  writeFileSync(
    main,
    `import { executeStage } from './run/execute-stage.mjs'
import { asReproError } from './core/errors.mjs'
import { readdirSync } from 'node:fs'
const [folder, text] = process.argv.slice(2)
const options = JSON.parse(text)
try {
  for await (const record of executeStage(folder, options));
} catch (error) {
  const [run] = readdirSync(options.home + '/runs')
  console.log(JSON.stringify({ code: asReproError(error).code, left: readdirSync(options.home + '/runs/' + run) }))
}
`,
  )
  const small = join(bench.folder, 'small')
  mkdirSync(small)
  const folder = stageFolder(bench.cache, source.identity.contentHash, 'default')
  const options = JSON.stringify(bench.options({ runtime: 'host', home: small, graceMs: 0 }))
  const script = 'mount -t tmpfs -o size=4m none "$1" && shift && exec "$@"'
  const unshare = ['--user', '--map-root-user', '--mount', '--', 'sh', '-c', script, 'sh', small]
  const run = spawnSync('unshare', [...unshare, process.execPath, main, folder, options], {
    encoding: 'utf8',
    timeout: 50_000,
  })
  const { code, left } = JSON.parse(run.stdout)
  expect(code).toBe('DISK_FULL')
  expect(left.sort()).toEqual(['out', 'run.json', 'stderr.log', 'stdout.log'])
  expect(
    (await bench.run(source, { runtime: 'host', timeoutMs: 50, graceMs: 0 })).receipt.outcome,
  ).toBe('timeout')
})
