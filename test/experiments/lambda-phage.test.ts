import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lambdaPhage, Person, scratch, share } from '../helpers/cli.ts'
import { findProgram, requires } from '../helpers/requires.ts'

/** Runs a script of the experiment on the bare host with this awk; gives its outputs by name. */
function outputsWith(awk: string, script: string, args: readonly string[], env = {}) {
  const folder = scratch()
  const bin = join(folder, 'bin')
  const out = join(folder, 'out')
  mkdirSync(bin)
  mkdirSync(out)
  symlinkSync(findProgram(awk)!, join(bin, 'awk'))
  for (const name of ['bash', 'sort', 'gzip']) symlinkSync(findProgram(name)!, join(bin, name))
  const { status, stderr } = spawnSync(join(bin, 'bash'), [script, ...args], {
    cwd: lambdaPhage,
    env: { PATH: bin, LC_ALL: 'C', REPRO_OUT: out, ...env },
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${script} under ${awk} ended with ${status}: ${stderr}`)
  const read = (name: string) => readFileSync(join(out, name), 'utf8').replace(/^made:.*\n/m, '')
  return Object.fromEntries(readdirSync(out).map(name => [name, read(name)]))
}

function expectedOf(app: string) {
  const folder = join(lambdaPhage, 'expected', app)
  const read = (name: string) => readFileSync(join(folder, name), 'utf8').replace(/^made:.*\n/m, '')
  return Object.fromEntries(readdirSync(folder).map(name => [name, read(name)]))
}

describe('lambda phage: the same bytes under every awk', () => {
  it.for(['mawk', 'gawk'] as const)('%s gives the committed outputs', (awk, test) => {
    requires(test, `program ${awk}`)
    expect(outputsWith(awk, 'code/profile.sh', [])).toEqual(expectedOf('default'))
    expect(outputsWith(awk, 'code/contigs.sh', [])).toEqual(expectedOf('smoke'))
  })

  it.for([
    ['--k 31 --strand forward', {}],
    ['--k 1', {}],
    ['--k 7 --min-quality=12', { SAMPLE_EVERY: '3' }],
  ] as const)('mawk and gawk agree with %s', ([args, env], test) => {
    requires(test, 'program mawk', 'program gawk')
    const words = args.split(' ')
    const [left, right] = ['mawk', 'gawk'].map(awk =>
      outputsWith(awk, 'code/profile.sh', words, env),
    )
    expect(left).toEqual(right)
    expect(Object.keys(left!)).toHaveLength(5)
  })
})

const nodes = [
  ['the Node of the tests', process.execPath],
  ['Node 24', process.env['REPRO_TEST_NODE24'] ?? ''],
] as const

describe.each(nodes)('lambda phage, from one home to another, on %s', (_name, node) => {
  it('is published, shared, fetched, verified, run and compared', async test => {
    requires(test, 'user namespaces')
    if (node === '') test.skip('no Node 24: npm test installs it')
    const folder = scratch()
    const author = new Person(join(folder, 'author'), { node })
    const analysis = join(author.folder, 'analysis')
    cpSync(lambdaPhage, analysis, { recursive: true })
    const { result: release } = await author.json(['publish', analysis, '--tag', 'v1'])
    const { peer } = await share(author)

    const reader = new Person(join(folder, 'reader'), { node, env: { REPRO_PEERS: peer } })
    const { result } = await reader.json(['run', `${release.key}@v1`])
    expect(result.receipt).toMatchObject({
      verdict: 'reproduced',
      key: release.key,
      contentHash: release.contentHash,
      release: 1,
      tag: 'v1',
      runtime: { fidelity: 'image-isolated' },
      outcome: 'completed',
      exitCode: 0,
    })
    expect(result.receipt.software.node).toMatch(node === process.execPath ? /./ : /^v?24\./)
    expect(await reader.json(['runs', result.receipt.id])).toMatchObject({
      result: { receipt: result.receipt },
    })
    const { result: got } = await reader.json(['get', `${release.key}@v1`, 'there'])
    expect(got).toMatchObject({ complete: true })
    expect((await reader.repro('verify', './there')).code).toBe(0)
    writeFileSync(join(reader.folder, 'there/data/SOURCE.md'), 'changed')
    const changed = await reader.repro('verify', './there')
    expect(changed.code).toBe(5)
    expect(changed.stdout + changed.stderr).toContain('data/SOURCE.md')
  })

  it('says what differs, where and by how much', async test => {
    requires(test, 'user namespaces')
    if (node === '') test.skip('no Node 24: npm test installs it')
    const author = new Person(scratch(), { node })
    const analysis = join(author.folder, 'analysis')
    cpSync(lambdaPhage, analysis, { recursive: true })
    const path = join(analysis, 'expected/smoke/contigs.tsv')
    writeFileSync(path, readFileSync(path, 'utf8').replace('48502', '48503'))
    const { result } = await author.json(['run', analysis, 'smoke'], 7)
    expect(result.receipt.verdict).toBe('differs')
    expect(result.receipt.outputs).toMatchObject([
      { path: 'contigs.tsv', status: 'differs', at: { line: 2 } },
    ])
  })
})
