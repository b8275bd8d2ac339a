import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkFolder } from '../../src/author/check.ts'
import { scratch } from '../helpers/cli.ts'
import { type Files, finish, folderOf } from './folder.ts'

const GOOD = `repro: 1
name: study
title: A study
authors: [{name: Ada Example}]
license: {code: MIT, data: CC0-1.0}
apps:
  a:
    command: [sh, code/run.sh]
    inputs: [code/**, data/a.txt]
    outputs: [{path: o, compare: exact}]
images: {}
`
const COMPLETE: Files = {
  'repro.yaml': GOOD,
  'README.md': '# A study\n',
  LICENSE: 'x',
  'code/run.sh': 'echo hello > out/o\n',
  'data/a.txt': 'a\n',
  'expected/a/o': 'hello\n',
}
const options = (own = true) => ({
  settings: { cache: join(scratch(), 'cache') },
  isWritable: async () => own,
})

async function check(files: Files, prepare?: (folder: string) => void) {
  const folder = folderOf({ ...COMPLETE, ...files })
  prepare?.(folder)
  const done = await finish(checkFolder(folder, options()))
  const { faults, warnings } = done.result
  return {
    ...done,
    faults,
    said: warnings.map(({ file, line, message }) =>
      [file, line, message].filter(part => part !== undefined).join(':'),
    ),
  }
}

describe('checkFolder', () => {
  it('refuses a key that this home cannot write, and a damaged note of one, with the rest', async () => {
    const key = 'y'.repeat(52)
    const contentHash = `blake3:${'0'.repeat(64)}`
    const note = JSON.stringify({ format: 0, key, release: 1, contentHash })
    const folder = folderOf({ ...COMPLETE, '.repro/bundle.json': note, '.env': 'A=1' })
    const { result } = await finish(checkFolder(folder, options(false)))
    expect(result.faults.map(({ code }) => code)).toEqual(['KEY_NOT_WRITABLE', 'SECRET_FOUND'])
    expect(result.faults[0]!.hints.join('\n')).toContain('--new')
    const own = await finish(checkFolder(folder, options()))
    expect(own.result.faults.map(({ code }) => code)).toEqual(['SECRET_FOUND'])
    const { faults } = await check({ '.repro/bundle.json': '{' })
    expect(faults.map(({ code }) => code)).toEqual(['CONFIG_INVALID'])
  })

  it('has nothing to say of a complete study but that no image is named', async () => {
    const { faults, said, records } = await check({})
    expect(faults).toEqual([])
    expect(said).toEqual([
      'repro.yaml:7:apps.a: has no image: it runs on a host alone, and only by name',
    ])
    expect(records.at(-1)).toMatchObject({ action: 'check', status: 'ok' })
  })

  it('finds faults of manifest, names, links, secrets and images at once', async () => {
    const { faults, records } = await check({
      'repro.yaml': GOOD.replace('images: {}', 'images: {i: {source: none.tar}}'),
      link: '-> /etc/passwd',
      'b\\c': 'x',
      '.env': 'x',
    })
    expect(faults.map(({ code, file }) => `${code} ${file}`)).toEqual([
      'PATH_UNSAFE b\\c',
      'LINK_UNSAFE link',
      'SECRET_FOUND .env',
      'IMAGE_SOURCE repro.yaml',
    ])
    expect(records.filter(record => record.status === 'error')).toHaveLength(4)
  })

  it('looks at the files of a folder whose manifest is invalid, as far as that tells them', async () => {
    const { faults } = await check({
      'repro.yaml': 'repro: 1\nnam: x\nexclude: [junk]\napps: {a: {out: results}}\n',
      'junk/.env': 'x',
      'results/.env': 'x',
      'data/.netrc': 'x',
    })
    expect(faults.map(({ code, file, line }) => `${code} ${file} ${line}`)).toEqual([
      'MANIFEST_INVALID repro.yaml 1',
      'MANIFEST_INVALID repro.yaml 2',
      'MANIFEST_INVALID repro.yaml 4',
      'SECRET_FOUND data/.netrc undefined',
    ])
    expect(faults[1]?.message).toContain('did you mean "name"?')
  })

  it('names a missing manifest and goes on', async () => {
    const folder = folderOf({ '.env': 'x' })
    const { result } = await finish(checkFolder(folder, options()))
    expect(result.faults.map(({ code }) => code)).toEqual(['MANIFEST_MISSING', 'SECRET_FOUND'])
  })

  it('finds expectations that are not there', async () => {
    const { faults } = await check({
      'repro.yaml': GOOD.replace('compare: exact', 'compare: exact, expect: data/b.txt'),
    })
    expect(faults).toMatchObject([{ code: 'MANIFEST_INVALID', file: 'repro.yaml', line: 10 }])
  })

  it('warns of what reviewers ask: metadata, README, licence', async () => {
    const folder = folderOf({ 'repro.yaml': 'repro: 1\nname: x\n' })
    const { result } = await finish(checkFolder(folder, options()))
    expect(result.warnings.map(({ message }) => message)).toEqual([
      'has no title',
      'has no authors',
      'has no license: nobody may use the bundle',
      'there is no README',
      'there is no licence text (LICENSE)',
    ])
  })

  it('warns of licences that are none, with the nearest that is one', async () => {
    const { said } = await check({ 'repro.yaml': GOOD.replace('code: MIT', 'code: Apache 2.0') })
    expect(said).toContain(
      'repro.yaml:5:"Apache 2.0" is no well-known SPDX licence: did you mean "Apache-2.0"?',
    )
  })

  it('warns of outputs without expectations and expectations without outputs', async () => {
    const { said } = await check({
      'repro.yaml': GOOD.replace('path: o,', 'path: other,'),
    })
    expect(said).toContain('repro.yaml:10:apps.a: the output "other" has no expectation')
    expect(said).toContain('expected/a/o:is the expectation of no output')
    const without = await check({ 'repro.yaml': GOOD.replace(/ {4}outputs.*\n/, '') })
    expect(without.said.join('\n')).toContain('apps.a declares no outputs')
  })

  it('warns of inputs that match nothing, large files, and a default out that holds something', async () => {
    const { said } = await check(
      {
        'repro.yaml': GOOD.replace('data/a.txt', 'data/*.fq'),
        'data/big.bin': 'x',
        'out/old': 'x',
      },
      folder => truncateSync(join(folder, 'data/big.bin'), 101e6),
    )
    const text = said.join('\n')
    expect(text).toContain('repro.yaml:9:apps.a: the input "data/*.fq" matches nothing')
    expect(text).toContain('data/big.bin:has 101.0 MB')
    expect(text).toContain('repro.yaml:7:the folder "out" is where apps.a writes')
  })

  it('warns of absolute paths in scripts, with their lines', async () => {
    const { said } = await check({
      'code/run.sh':
        '#!/usr/bin/env bash\ncat /home/ada/data/x.txt\nls /usr/bin /dev/null > /tmp/mine.txt\necho ./home/x https://e.org/home/y\n',
      'code/b.py': 'x = "C:\\\\Users\\\\ada\\\\x.csv"\n',
      'data/notes.txt': '/home/ada/is/fine/here\n',
    })
    expect(said.filter(text => text.includes('absolute'))).toEqual([
      'code/b.py:1:the absolute path C:\\\\Users\\\\ada\\\\x.csv is one of your machine',
      'code/run.sh:2:the absolute path /home/ada/data/x.txt is one of your machine',
      'code/run.sh:3:the absolute path /tmp/mine.txt is one of your machine',
    ])
  })

  it('warns of versions left open', async () => {
    const { said } = await check({
      'requirements.txt': 'numpy==2.0.1\nscipy\npandas>=2\n# note\n-r other.txt\n',
      'environment.yml':
        'channels:\n  - conda-forge\ndependencies:\n  - python=3.12\n  - samtools\n',
      Dockerfile:
        'FROM debian:12@sha256:00\nFROM debian\nFROM r-base:latest AS b\nFROM r-base:4.4\n',
    })
    expect(said.filter(text => text.endsWith('has no version'))).toEqual([
      'Dockerfile:2:the base image "debian" has no version',
      'Dockerfile:3:the base image "r-base:latest" has no version',
      'environment.yml:5:"samtools" has no version',
      'requirements.txt:2:"scipy" has no version',
      'requirements.txt:3:"pandas" has no version',
    ])
  })

  it('warns of names that some disks cannot tell apart, and links that lead nowhere', async () => {
    const { said } = await check({
      'data/A.txt': 'x',
      'data/e\u0301.txt': 'x',
      'data/\u00e9.txt': 'x',
      'data/gone': '-> missing',
      'data/loop': '-> loop',
      'data/fine': '-> ../code',
    })
    expect(said.filter(text => /only in case|the link/.test(text))).toEqual([
      'data/a.txt:differs from "data/A.txt" only in case or Unicode form: some disks hold only one of them',
      'data/\u00e9.txt:differs from "data/e\u0301.txt" only in case or Unicode form: some disks hold only one of them',
      'data/gone:the link to "missing" points to nothing in the bundle',
      'data/loop:the link to "loop" goes in a circle',
    ])
  })
})
