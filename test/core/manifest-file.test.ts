import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ReproError } from '../../src/core/errors.ts'
import { type ManifestFault, parseManifestFile } from '../../src/core/manifest-file.ts'
import { checkout } from '../helpers/cli.ts'

const folder = join(checkout, 'fixtures/manifests')
const expected: Record<string, Expected> = JSON.parse(
  readFileSync(join(folder, 'invalid/expected.json'), 'utf8'),
)
interface Expected {
  readonly code: string
  readonly line: number
  readonly column?: number
  readonly path: string
  readonly message: string
  readonly nearest?: string
}

function refusal(text: string): ReproError & { faults: ManifestFault[] } {
  try {
    parseManifestFile(text, 'repro.yaml')
  } catch (error) {
    if (error instanceof ReproError)
      return Object.assign(error, { faults: (error.data['faults'] ?? []) as ManifestFault[] })
    throw error
  }
  throw new Error('the manifest was accepted')
}

const yamlIn = (kind: string) =>
  readdirSync(join(folder, kind)).filter(name => name.endsWith('.yaml'))

describe('fixtures/manifests', () => {
  it.each(yamlIn('valid'))('%s is valid', name => {
    const text = readFileSync(join(folder, 'valid', name), 'utf8')
    expect(parseManifestFile(text, name).manifest.repro).toBe(1)
  })

  it('has a row for each invalid manifest', () => {
    expect(yamlIn('invalid').sort()).toEqual(
      Object.keys(expected)
        .map(name => `${name}.yaml`)
        .sort(),
    )
  })

  it.each(Object.entries(expected))('%s has its one fault at its place', (name, want) => {
    const error = refusal(readFileSync(join(folder, 'invalid', `${name}.yaml`), 'utf8'))
    expect(error.code).toBe(want.code)
    expect(error.faults.map(fault => fault.message)).toHaveLength(1)
    const [fault] = error.faults
    const { message, code: _, ...place } = want
    expect(fault).toMatchObject(place)
    expect(`${fault?.message}`).toContain(message)
    expect(error.message).toContain(`repro.yaml:${fault?.line}:${fault?.column}: `)
    if (want.nearest) expect(error.message).toContain(`did you mean "${want.nearest}"?`)
    else expect(fault).not.toHaveProperty('nearest')
  })
})

describe('parseManifestFile', () => {
  it('tells every fault at once, in the order of the file', () => {
    const { faults } = refusal(
      [
        'repro: 1',
        'name: a b',
        'images: {tools: {host: [bash]}}',
        'apps:',
        '  a:',
        '    image: toolz',
        '    comand: [x]',
        '    params: {n: {type: int, min: 2, default: 1, flag: -n}}',
        '    resources: {memory: lots}',
        '',
      ].join('\n'),
    )
    expect(faults.map(({ line, path }) => [line, path])).toEqual([
      [2, 'name'],
      [5, 'apps.a.command'],
      [6, 'apps.a.image'],
      [7, 'apps.a.comand'],
      [8, 'apps.a.params.n.default'],
      [9, 'apps.a.resources.memory'],
    ])
  })

  it('shows a value escaped and shortened', () => {
    const { message } = refusal(`repro: 1\nname: "\\e]0;${'x'.repeat(500)}"\n`)
    expect(message).not.toContain('\u001b')
    expect(message).toContain('\\x1b]0;xxx')
    expect(message.length).toBeLessThan(600)
  })

  it('warns without refusing', () => {
    const { warnings } = parseManifestFile(
      'repro: 1\nname: x\nimages: {i: {host: [bash]}}\napps:\n  a:\n    command: [x]\n    outputs: [{path: out/y, compare: exact}]\n',
      'repro.yaml',
    )
    expect(warnings.map(({ line, path }) => [line, path])).toEqual([
      [3, 'images.i'],
      [5, 'apps.a'],
      [7, 'apps.a.outputs[0].path'],
    ])
  })

  it('locates what is there, and the nearest parent of what is not', () => {
    const file = parseManifestFile('repro: 1\nname: x\napps:\n  a:\n    command: [x, y]\n', 'r')
    expect(file.locate(['apps', 'a', 'command', 1])).toEqual({ line: 5, column: 18 })
    expect(file.locate(['apps', 'a'], 'key')).toEqual({ line: 4, column: 3 })
    expect(file.locate(['apps', 'a', 'image'])).toEqual({ line: 4, column: 3 })
  })

  it.each([
    ['brackets', 'repro: 1\nname: '.concat('['.repeat(1 << 19))],
    ['braces', '{'.repeat(1 << 20)],
    ['dashes', '- '.repeat(1 << 19)],
    ['maps in one line', 'a: '.repeat(1 << 18)],
    ['questions', '? '.repeat(1 << 19)],
    ['anchors', '&a '.repeat(1 << 18)],
    ['keys', Array.from({ length: 150_000 }, (_, i) => `k${i}:`).join('\n')],
    ['documents', '---\n'.repeat(1 << 18)],
    [
      'an alias bomb',
      `a: &a0 [x, x, x, x, x, x, x, x, x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &a${i + 1} [${`*a${i}, `.repeat(9)}x]`).join('\n')}\n`,
    ],
    ['a size beyond the limit', `repro: 1\nname: x\ntitle: ${'y'.repeat(1 << 20)}\n`],
  ])('refuses %s at once', (_, text) => {
    const before = process.memoryUsage().heapUsed
    const { code, message } = refusal(text)
    expect(code).toBe('MANIFEST_INVALID')
    expect(message.length).toBeLessThan(40_000)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(400e6)
  })
})
