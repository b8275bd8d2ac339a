import { expect, test } from 'vitest'
import type { Manifest } from '../../schemas/index.ts'
import { appClosure } from '../../src/core/app-closure.ts'

const app = {
  image: 'tools',
  command: ['bash', 'code/align.sh'],
  params: {},
  inputs: { include: ['code', 'data/*.fa'], exclude: ['code/old'] },
  out: 'out',
  outputs: [
    {
      path: 'a.tsv',
      compare: 'exact' as const,
      expect: { blake3: '0'.repeat(64), path: 'expected/default/a.tsv' },
    },
  ],
  resources: {},
  network: 'none' as const,
  env: {},
  modules: [],
  refuse: [],
}
const manifest: Manifest = {
  format: 0,
  name: 'bundle',
  authors: [],
  keywords: [],
  cites: [],
  images: {},
  apps: {
    default: app,
    everything: { ...app, image: null, inputs: { include: ['**'], exclude: [] }, outputs: [] },
  },
  index: { blake3: '0'.repeat(64), entries: 0, files: 0, bytes: 0 },
}

test('an app needs its inputs, its image and what it is compared with, and nothing else', () => {
  const { needs } = appClosure(manifest, 'default')
  const needed = [
    'code/align.sh',
    'code/deep/er.sh',
    'data/x.fa',
    '.repro/images/tools/oci-layout',
    'expected/default/a.tsv',
  ]
  const others = [
    'code/old/x.sh',
    'data/x.fq',
    'data/deep/x.fa',
    'README.md',
    '.repro/images/tools2/oci-layout',
    '.repro/images/other/index.json',
    'expected/default/b.tsv',
  ]
  expect(needed.filter(path => !needs({ path }))).toEqual([])
  expect(others.filter(path => needs({ path }))).toEqual([])
})

test('a pattern for everything does not reach into .repro', () => {
  const closure = appClosure(manifest, 'everything')
  expect(closure.needs({ path: 'data/x.fq' })).toBe(true)
  expect(closure.needs({ path: '.repro/images/tools/oci-layout' })).toBe(false)
})

test('what lies in the output folder is no input, whatever the patterns', () => {
  const { isInput } = appClosure(manifest, 'everything')
  expect(['out', 'out/x', 'outer', 'data/out'].filter(isInput)).toEqual(['outer', 'data/out'])
})

test('an app that is not there is named with the nearest that is', () => {
  expect(() => appClosure(manifest, 'defualt')).toThrowError(
    expect.objectContaining({
      code: 'APP_UNKNOWN',
      hints: expect.arrayContaining([expect.stringContaining('"default"')]),
    }),
  )
  expect(() => appClosure(manifest, 'constructor')).toThrowError(/no app "constructor"/)
})
