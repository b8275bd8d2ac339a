import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ParamSpec, ResolvedApp } from '../../schemas/index.ts'
import type { ReproError } from '../../src/core/errors.ts'
import { commandOf, resolveParams } from '../../src/run/params.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'repro-params-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function appWith(params: Record<string, ParamSpec>): ResolvedApp {
  return {
    image: null,
    command: ['run', 'it'],
    params,
    inputs: { include: ['**'], exclude: [] },
    out: 'out',
    outputs: [],
    resources: {},
    network: 'none',
    env: {},
    modules: [],
    refuse: [],
  }
}

const app = appWith({
  threads: { type: 'int', default: 2, min: 1, max: 64, flag: '--threads' },
  cut: { type: 'float', default: 0.5, flag: '--cut=' },
  preset: { type: 'enum', values: ['fast', 'slow'], default: 'fast', positional: 2 },
  label: { type: 'string', pattern: '[a-z]+', maxLength: 5, env: 'LABEL' },
  loud: { type: 'bool', default: false, flag: '-v' },
  reads: { type: 'file', default: 'data/a.fq', positional: 1 },
})

async function line(settings: string[], extra: string[] = [], onHost = false) {
  return commandOf(app, await resolveParams(app, settings, folder), extra, onHost)
}

async function faultsOf(what: ResolvedApp, settings: string[]): Promise<string[]> {
  const error = await resolveParams(what, settings, folder).then(
    () => expect.unreachable('nothing was refused'),
    (thrown: ReproError) => thrown,
  )
  expect(error.code).toBe('PARAM_INVALID')
  return error.data['faults'] as string[]
}

test('defaults make a whole command line: flags by name, then positions, then extra arguments', async () => {
  expect(await line([], ['--more', 'x y'])).toEqual({
    command: ['run', 'it', '--cut=0.5', '--threads', '2', 'data/a.fq', 'fast', '--more', 'x y'],
    env: {},
  })
})

test('values reach the command by flag, by flag=, by position and by environment', async () => {
  const { command, env } = await line([
    'threads=8',
    'cut=1e-3',
    'preset=slow',
    'loud=yes',
    'label=abc',
  ])
  expect(command).toEqual(['run', 'it', '--cut=0.001', '-v', '--threads', '8', 'data/a.fq', 'slow'])
  expect(env).toEqual({ LABEL: 'abc' })
})

test('a file of the reader is mounted under its name, and named by its place on a host run', async () => {
  writeFileSync(join(folder, 'my reads;$.fq'), '')
  symlinkSync('my reads;$.fq', join(folder, 'link.fq'))
  const params = await resolveParams(app, ['reads=link.fq'], folder)
  expect(params.data).toEqual([
    {
      param: 'reads',
      host: join(folder, 'my reads;$.fq'),
      inside: '/repro/data/reads/my_reads__.fq',
    },
  ])
  expect(params.changed).toBe(true)
  expect(params.values['reads']).toBe('/repro/data/reads/my_reads__.fq')
  expect((await line(['reads=link.fq'])).command).toContain('/repro/data/reads/my_reads__.fq')
  expect((await line(['reads=link.fq'], [], true)).command).toContain(join(folder, 'my reads;$.fq'))
})

test('every fault is told at once', async () => {
  const faults = await faultsOf(app, [
    'thread=3',
    'threads=65',
    'cut=x',
    'preset=fats',
    'label=ABC',
    'loud=maybe',
    'reads=none.fq',
    'loud',
  ])
  expect(faults).toEqual([
    expect.stringContaining('no parameter "thread": did you mean "threads"?'),
    expect.stringContaining('write loud=value'),
    '"x" for the parameter "cut" is no number',
    '"ABC" for the parameter "label" does not match the pattern [a-z]+',
    '"maybe" for the parameter "loud" is neither true nor false',
    expect.stringContaining('is none of "fast", "slow"'),
    '"none.fq" for the parameter "reads" does not exist',
    '"65" for the parameter "threads" is above the most, 64',
  ])
})

test.each([
  [{ type: 'int', flag: '-x' }, '1.5', 'is no whole number'],
  [{ type: 'int', flag: '-x' }, '99999999999999999999', 'is too large'],
  [{ type: 'int', min: 3, flag: '-x' }, '2', 'is below the least, 3'],
  [{ type: 'float', flag: '-x' }, '1e999', 'is too large'],
  [{ type: 'float', flag: '-x' }, '0x10', 'is no number'],
  [{ type: 'string', flag: '-x' }, 'a\0b', 'NUL'],
  [{ type: 'string', maxLength: 2, flag: '-x' }, 'abc', 'has 3 characters'],
  [{ type: 'string', flag: '-x' }, 'x'.repeat(200_000), 'longer than'],
  [{ type: 'folder', flag: '-x' }, '/etc/passwd', 'is no folder'],
  [{ type: 'file', flag: '-x' }, '/etc', 'is no file'],
  [{ type: 'file', flag: '-x' }, '', 'is no path'],
] as [ParamSpec, string, string][])('%j refuses %s', async (spec, text, fault) => {
  const faults = await faultsOf(appWith({ x: spec }), [`x=${text}`])
  expect(faults.join()).toContain(fault)
})

test('a required parameter, a double one, and a hole in the positions are refused', async () => {
  const two = appWith({
    need: { type: 'int', required: true, flag: '-n' },
    a: { type: 'string', positional: 1 },
    b: { type: 'string', positional: 2 },
  })
  const faults = await faultsOf(two, ['b=x', 'b=y'])
  expect(faults).toEqual([
    'the parameter "b" is set twice',
    'the parameter "need" is required',
    'the parameter "a" has no value, but "b" stands after it in the command line',
  ])
})

test('a hostile pattern of a parameter ends at once', async () => {
  const evil = appWith({ x: { type: 'string', pattern: '(a+)+$', flag: '-x' } })
  const started = Date.now()
  await faultsOf(evil, [`x=${'a'.repeat(100_000)}!`])
  expect(Date.now() - started).toBeLessThan(3000)
})

test('property: a whole number in range comes back as it was given', async () => {
  const one = appWith({ x: { type: 'int', flag: '-x', min: -1000, max: 1000 } })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: -2000, max: 2000 }), async n => {
      const result = await resolveParams(one, [`x=${n}`], folder).catch(() => null)
      if (Math.abs(n) > 1000) expect(result).toBeNull()
      else
        expect(commandOf(one, result!, [], false).command).toEqual(['run', 'it', '-x', String(n)])
    }),
  )
})
