import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type Files, writeFiles } from '../archive/helpers.ts'
import { Person, scratch } from '../helpers/cli.ts'
import { requires } from '../helpers/requires.ts'

/** A Python of a person's own may hold thousands of packages, and all come along. */
const PATH = '/usr/local/bin:/usr/bin:/bin'
const DATA = { 'data/words.txt': 'pear 2\napple 3\npear 5\n' }
const STUDIES: readonly (readonly [what: string, files: Files, ...programs: string[]])[] = [
  [
    'bash, awk and sort',
    {
      'run.sh': `#!/bin/bash
set -eu
# don't stop
awk '{ n[$1] += $2 }
  END { for (w in n) print w, n[w] }' data/words.txt | LC_ALL=C sort > out/sums.txt
`,
    },
    'awk',
  ],
  [
    'python3 and its standard library',
    {
      'analysis.py': `#!/usr/bin/env python3
import collections, csv, hashlib, json
sums = collections.Counter()
with open('data/words.txt') as lines:
    for word, n in csv.reader(lines, delimiter=' '):
        sums[word] += int(n)
hashlib.sha256(json.dumps(sums).encode()).hexdigest()
with open('out/sums.txt', 'w') as out:
    for word in sorted(sums):
        print(word, sums[word], file=out)
`,
    },
    'python3',
  ],
  [
    'perl',
    {
      'code/main.pl': `use strict; use warnings; use List::Util qw(sum);
my %n;
open my $in, '<', 'data/words.txt' or die $!;
while (<$in>) { my ($w, $k) = split; push @{ $n{$w} }, $k }
open my $out, '>', 'out/sums.txt' or die $!;
print $out "$_ ", sum(@{ $n{$_} }), "\\n" for sort keys %n;
`,
    },
    'perl',
  ],
  [
    'a script without a name that says so, which calls another',
    {
      run: { run: '#!/bin/sh\nsh code/sum.sh "$(head -n 9 data/words.txt | wc -l)"\n' },
      'code/sum.sh':
        "awk '{ n[$1] += $2 } END { for (w in n) print w, n[w] }' data/words.txt |\n  xargs -n 2 echo | sort > out/sums.txt\n",
    },
    'awk',
  ],
]

it.for(STUDIES)('repro init makes a folder of %s run out of the box', async (study, context) => {
  const [, files, ...programs] = study
  requires(context, 'user namespaces')
  for (const program of programs)
    if (!PATH.split(':').some(folder => existsSync(join(folder, program))))
      context.skip(`needs the program ${program}`)
  const author = new Person(scratch(), { env: { PATH } })
  const folder = join(author.folder, 'study')
  await writeFiles(folder, { ...DATA, ...files })
  await author.json(['init', folder])
  expect((await author.repro('check', folder)).code).toBe(0)
  const { result } = await author.json(['run', folder])
  expect(result.receipt).toMatchObject({
    outcome: 'completed',
    runtime: { fidelity: 'image-isolated' },
    image: { name: 'main' },
  })
  expect(await readFile(join(result.out, 'sums.txt'), 'utf8')).toBe('apple 3\npear 7\n')
})
