import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkout, lambdaPhage, scratch } from './helpers/cli.ts'
import { missing } from './helpers/requires.ts'

/** What users of the library may rely on. A name is added or taken away on purpose only. */
const PUBLIC = [
  'ExitCode',
  'ReproError',
  'bootstrap',
  'cat',
  'check',
  'diff',
  'doctor',
  'du',
  'exportKey',
  'fail',
  'findRun',
  'formatReference',
  'get',
  'importKey',
  'init',
  'inspect',
  'listPins',
  'listRuns',
  'loadSettings',
  'log',
  'ls',
  'parseReference',
  'pin',
  'planRun',
  'prune',
  'publish',
  'remove',
  'repair',
  'repairIndex',
  'repairStore',
  'run',
  'share',
  'verify',
]

const USER = `import { loadSettings, publish, run, type Receipt, type WorkRecord } from 'repro'

async function finish<T>(work: AsyncGenerator<WorkRecord, T>): Promise<T> {
  for (;;) {
    const step = await work.next()
    if (step.done) return step.value
  }
}

const settings = await loadSettings({})
const { record } = await finish(publish(settings, './lambda-phage', {}))
const { receipt } = await finish(run(settings, record.key, { version: 'test' }))
const verdict: Receipt['verdict'] = receipt.verdict
console.log(JSON.stringify({ verdict, key: record.key === receipt.key }))
`

describe('the library', () => {
  it('has the names it promises', async () => {
    const library = (await import(join(checkout, 'dist/src/index.js'))) as object
    expect(Object.keys(library).sort()).toEqual(PUBLIC)
  })

  it('has types that need no @types/node, and hold where libraries are checked too', () => {
    const folder = scratch()
    const compilerOptions = {
      strict: true,
      skipLibCheck: false,
      noEmit: true,
      types: [],
      typeRoots: [],
      target: 'es2023',
      module: 'nodenext',
    }
    const index = join(checkout, 'dist/src/index.js')
    writeFileSync(join(folder, 'user.ts'), `export { run } from '${index}'\n`)
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['user.ts'] }),
    )
    const tsc = join(checkout, 'node_modules/typescript/bin/tsc')
    execFileSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
  })
})

describe('the package, packed and installed into another project', { timeout: 300_000 }, () => {
  it('gives functions with types, a command, and the schemas', () => {
    const folder = scratch()
    const npm = (args: readonly string[], cwd: string) =>
      execFileSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], {
        cwd,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    npm(['pack', '--ignore-scripts', '--pack-destination', folder], checkout)
    const packed = readdirSync(folder).find(name => name.endsWith('.tgz'))!
    const project = join(folder, 'project')
    mkdirSync(project)
    writeFileSync(join(project, 'package.json'), '{"type":"module","private":true}')
    writeFileSync(join(project, 'user.ts'), USER)
    npm(['install', '--prefer-offline', '--omit=dev', join(folder, packed)], project)

    const tsc = [join(checkout, 'node_modules/typescript/bin/tsc'), 'user.ts']
    const node = (args: readonly string[], env = {}) =>
      execFileSync(process.execPath, args, {
        cwd: project,
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], HOME: folder, REPRO_BOOTSTRAP: 'none', ...env },
      })
    const types = ['--typeRoots', join(checkout, 'node_modules/@types'), '--types', 'node']
    node([...tsc, '--strict', '--target', 'es2023', '--module', 'nodenext', ...types])
    expect(node(['node_modules/.bin/repro', '--version'])).toMatch(/^\d+\.\d+\.\d+/)
    expect(readdirSync(join(project, 'node_modules/repro/schemas/json'))).toContain('receipt.json')

    if (missing('user namespaces') !== null) return
    cpSync(lambdaPhage, join(project, 'lambda-phage'), { recursive: true })
    expect(JSON.parse(node(['user.js']))).toEqual({ verdict: 'reproduced', key: true })
  })
})
