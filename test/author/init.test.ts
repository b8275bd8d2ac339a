import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkFolder } from '../../src/author/check.ts'
import { initFolder } from '../../src/author/init.ts'
import { readTitle } from '../../src/author/init-survey.ts'
import { slug } from '../../src/author/init-text.ts'
import { parseManifestFile } from '../../src/core/manifest-file.ts'
import { recogniseLicense } from '../../src/core/spdx.ts'
import { checkout, scratch } from '../helpers/cli.ts'
import { findProgram } from '../helpers/requires.ts'
import { type Files, finish, folderOf } from './folder.ts'

const MIT =
  'MIT License\n\nPermission is hereby granted, free of charge, to any person …\nThe above copyright notice and this permission notice shall be included …\n'

async function init(files: Files) {
  const folder = folderOf(files)
  const { text } = await initFolder(folder)
  expect(readFileSync(join(folder, 'repro.yaml'), 'utf8')).toBe(text)
  const { manifest } = parseManifestFile(text, 'repro.yaml')
  const { result } = await finish(
    checkFolder(folder, {
      settings: { cache: join(scratch(), 'cache') },
      isWritable: async () => true,
    }),
  )
  return { folder, text, manifest, faults: result.faults }
}

describe('initFolder', () => {
  it('describes a shell study: entry, host image, data, output folder, licence, title', async () => {
    const { manifest, text, faults } = await init({
      'README.md': 'badge\n\n# Phage *reads* [counted](http://x)\n',
      LICENSE: MIT,
      'code/run.sh': '#!/bin/bash\nsort data/a.txt | gzip -n > results/a.gz\nawk 1 data/a.txt\n',
      'code/helper.sh': 'echo\n',
      'data/a.txt': 'x\n',
      'results/a.gz': 'x',
      '.DS_Store': 'x',
    })
    expect(faults).toEqual([])
    expect(manifest).toMatchObject({
      title: 'Phage reads counted',
      license: { code: 'MIT' },
      exclude: ['*.tmp', '.DS_Store'],
      images: { main: { host: ['bash', 'awk', 'gzip', 'sort'] } },
      apps: { default: { image: 'main', command: ['bash', 'code/run.sh'], out: 'results' } },
    })
    expect(text).toContain('# inputs: [code/**, data/**]')
    expect(text).toContain('other scripts: code/helper.sh')
  })

  it('names the programs of this host that scripts call, and nothing else', async () => {
    const { manifest, text } = await init({
      Makefile: 'all: x\n\t@sh code/a.sh\n\tno-such-program-anywhere x\n',
      'code/a.sh': `cd data; echo "sort of"; sudo apt-get install x; docker run y
cat <<END
uniq this
END
./code/b | xargs -n 1 basename
find . -name x -exec wc -l {} +
LC_ALL=C cut -f1 "$(head -n 1 list)" no-such-program-anywhere
`,
      'code/b': '#!/usr/bin/env sed\n',
      'code/c.sh': '#!/bin/sh\ntr a b\n',
    })
    if (findProgram('make'))
      expect(manifest.images).toEqual({
        main: {
          host: ['make', 'basename', 'cat', 'cut', 'find', 'head', 'sh', 'tr', 'wc', 'xargs'],
        },
      })
    else expect(manifest.images).toBeUndefined()
    expect(text).not.toMatch(/docker|sudo|uniq/)
  })

  it.each([
    ['#!/bin/sh\n', 'run.sh', ['sh', 'run.sh']],
    ['#!/usr/bin/env -S bash -e\n', 'run.sh', ['bash', 'run.sh']],
    ['#!/usr/bin/env no-such-python3\n', 'main.py', ['python3', 'main.py']],
    ['#!/usr/bin/env sh\n', 'main.py', ['python3', 'main.py']],
    ['#!/bin/sh\n', 'code/run', ['sh', 'code/run']],
    ['BEGIN { }\n', 'code/main.awk', ['awk', '-f', 'code/main.awk']],
  ])('starts a script that begins with %j and is named %s', async (text, path, command) => {
    const { survey } = await initFolder(folderOf({ [path]: text }))
    expect(survey.entry?.command).toEqual(command)
  })

  it('leaves the image to its author where the interpreter cannot be captured', async () => {
    const { manifest, text } = await init({ 'run.jl': 'x' })
    expect(manifest.images).toBeUndefined()
    expect(manifest.apps?.['default']?.image).toBeUndefined()
    expect(text).toContain('# image: main')
  })

  it('takes title, authors, licence, keywords and citations from CITATION.cff', async () => {
    const { manifest, text } = await init({
      'README.md': '# Another title\n',
      'CITATION.cff': `cff-version: 1.2.0
message: cite this
title: "Counts: of phages"
abstract: |
  Two
  lines.
authors:
  - {given-names: Ada, name-particle: von, family-names: Example, orcid: https://orcid.org/0000-0002-1825-0097, affiliation: "UCLA, CA"}
  - {name: The Phage Group}
  - {given-names: Bob, family-names: Wrong, orcid: https://orcid.org/0000-0002-1825-0098}
date-released: 2026-01-02
license: Apache-2.0
keywords: [phage, "k-mer #1"]
preferred-citation: {type: article, title: x, doi: 10.1038/nmeth.1923}
`,
    })
    expect(manifest).toMatchObject({
      title: 'Counts: of phages',
      description: 'Two lines.',
      authors: [
        { name: 'Ada von Example', orcid: '0000-0002-1825-0097', affiliation: 'UCLA, CA' },
        { name: 'The Phage Group' },
        { name: 'Bob Wrong' },
      ],
      license: { code: 'Apache-2.0' },
      keywords: ['phage', 'k-mer #1'],
      cites: ['doi:10.1038/nmeth.1923'],
    })
    expect(text).toContain('# from CITATION.cff')
  })

  it.each([
    ['Dockerfile', { 'main.py': 'x', Dockerfile: 'FROM debian:12\n' }, 'podman build'],
    ['Singularity definition', { 'main.R': 'x', 'env/image.def': 'x' }, 'apptainer build'],
    ['environment.yml', { 'run.py': 'x', 'environment.yml': 'x' }, 'image from it'],
    ['requirements.txt', { 'run.py': 'x', 'requirements.txt': 'x' }, 'image from it'],
    ['renv.lock', { 'run.R': 'x', 'renv.lock': '{}' }, 'image from it'],
  ])('says how to make an image from a %s', async (_, files, hint) => {
    const { text, manifest, faults } = await init(files)
    expect(faults).toEqual([])
    expect(text).toContain(hint)
    expect(manifest.images).toBeUndefined()
    expect(manifest.apps?.['default']?.command.at(-1)).toMatch(/^(run|main)\./)
  })

  it('names an image file that is there', async () => {
    const { manifest } = await init({
      'run.jl': 'x',
      'images/tools.tar': 'x',
      'images/Dockerfile': 'FROM debian:12\n',
    })
    expect(manifest.images).toEqual({
      main: { source: 'images/tools.tar', recipe: 'images/Dockerfile' },
    })
    expect(manifest.apps?.['default']).toMatchObject({
      image: 'main',
      command: ['julia', 'run.jl'],
    })
  })

  it.each([
    ['Makefile', { Makefile: 'all:\n', 'a.py': 'x', 'b.py': 'x' }, ['make']],
    ['only script', { 'analysis/fit.R': 'x', 'data/x.csv': 'x' }, ['Rscript', 'analysis/fit.R']],
    ['named before others', { 'a.sh': 'x', 'run_all.sh': 'x' }, ['bash', 'run_all.sh']],
  ])('finds the entry: %s', async (_, files, command) => {
    expect((await init(files)).manifest.apps?.['default']?.command).toEqual(command)
  })

  it.each([
    ['nothing', {}],
    ['data alone', { 'reads.fq': '@\n' }],
    ['several scripts of equal rank', { 'a.py': 'x', 'b.py': 'x' }],
    ['a broken CITATION.cff', { 'CITATION.cff': 'a: [\n' }],
    [
      'a CITATION.cff of other types',
      { 'CITATION.cff': 'title: [x]\nauthors: 3\nlicense: {a: 1}\n' },
    ],
    [
      'hostile texts',
      {
        'README.md': '# "quotes": {a} #hash \u001b[31m \u2028 \\ %YAML\n',
        'CITATION.cff':
          'title: "a\\nb: c # d \\x07"\nauthors: [{name: "- x: [}"}]\nkeywords: ["*a", "&b", "null", "1", ""]\n',
        'run: me #1.sh': 'x',
        "it's {odd}/[x].py": 'x',
      },
    ],
  ])('writes a valid manifest for %s', async (_, files) => {
    const { manifest } = await init(files)
    expect(manifest.repro).toBe(1)
  })

  it('keeps secrets out', async () => {
    const { manifest, faults } = await init({ '.env': 'A=1', 'run.sh': 'x' })
    expect(manifest.exclude).toContain('.env')
    expect(faults).toEqual([])
  })

  it('describes the experiment of the fixtures', async () => {
    const { survey } = await initFolder(
      folderOf({
        'README.md': readFileSync(join(checkout, 'fixtures/experiments/lambda-phage/README.md')),
      }),
    )
    expect(survey.title).toBeTruthy()
  })

  it('replaces no manifest unless told to, and leaves nothing else behind', async () => {
    const folder = folderOf({ 'repro.yaml': 'repro: 1\nname: mine\n', 'run.sh': 'x' })
    await expect(initFolder(folder)).rejects.toMatchObject({ code: 'TARGET_CHANGED' })
    expect(readFileSync(join(folder, 'repro.yaml'), 'utf8')).toContain('mine')
    await initFolder(folder, { force: true })
    expect(readFileSync(join(folder, 'repro.yaml'), 'utf8')).toContain('run.sh')
    expect(readdirSync(folder).sort()).toEqual(['repro.yaml', 'run.sh'])
  })

  it('does not write over a manifest that came while it looked', async () => {
    const folder = folderOf({ 'run.sh': 'x' })
    const work = initFolder(folder)
    writeFileSync(join(folder, 'repro.yaml'), 'mine')
    await expect(work).rejects.toMatchObject({ code: 'TARGET_CHANGED' })
    expect(readFileSync(join(folder, 'repro.yaml'), 'utf8')).toBe('mine')
    expect(readdirSync(folder).sort()).toEqual(['repro.yaml', 'run.sh'])
  })
})

describe('what init reads', () => {
  it.each([
    ['# One\n', 'One'],
    ['Title\n=====\n', 'Title'],
    ['[![badge](x)](y)\n\n## Sub\n', null],
    ['', null],
  ])('the title of %j', (text, title) => {
    expect(readTitle(text)).toBe(title)
  })

  it.each([
    ['Größe 1 (final)', 'Grosse-1-final'],
    ['---', 'bundle'],
    ['数据', 'bundle'],
    ['2024', '"2024"'],
    ['x'.repeat(80), 'x'.repeat(64)],
  ])('a name from the folder %j', (text, name) => {
    expect(slug(text.replace('ß', 'ss'))).toBe(name)
  })

  const from = (path: string) => readFileSync(join(checkout, 'node_modules', path), 'utf8')
  it.each([
    ['MIT', MIT],
    ['Apache-2.0', '  Apache License\n   Version 2.0, January 2004\n'],
    ['GPL-3.0-only', 'GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007\n'],
    ['GPL-2.0-only', 'GNU GENERAL PUBLIC LICENSE\n  Version 2, June 1991\n'],
    ['LGPL-3.0-only', 'GNU LESSER GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007\n'],
    ['AGPL-3.0-only', 'GNU AFFERO GENERAL PUBLIC LICENSE\n  Version 3, 19 November 2007\n'],
    ['BSD-3-Clause', 'Redistribution and use in source and binary forms …\nNeither the name of'],
    ['BSD-2-Clause', 'Redistribution and use in source and binary forms …\n'],
    ['CC-BY-4.0', 'Creative Commons Attribution 4.0 International Public License\n'],
    ['CC-BY-SA-4.0', 'Creative Commons\nAttribution-ShareAlike 4.0 International\n'],
    ['CC0-1.0', 'Creative Commons Legal Code\n\nCC0 1.0 Universal\n'],
    ['MIT', from('zod/LICENSE')],
    ['Apache-2.0', readFileSync(join(checkout, 'LICENSE'), 'utf8')],
    ['ISC', from('yaml/LICENSE')],
    [null, 'All rights reserved.'],
  ])('the licence %s', (id, text) => {
    expect(recogniseLicense(text)).toBe(id)
  })
})
