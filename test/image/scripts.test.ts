import fc from 'fast-check'
import { expect, test } from 'vitest'
import { commandWords } from '../../src/image/capture/scripts.ts'

const wordsOf = (script: string) => {
  const { called, started } = commandWords(script)
  return { called: [...called].sort(), started: [...started].sort() }
}

test.each<[what: string, script: string, called: string[], started?: string[]]>([
  ['pipes, lists and substitutions', 'a x | b && c "$(d "`e`" z)"; f $(g) h', [...'abcdefg']],
  ['keywords and assignments', 'if ! A=1 b; then\n  B="x y" c\nfi', ['b', 'c', 'fi']],
  ['quoted text', `awk '{\n sort($1) }\n' data "head\ntail" it\\'s`, ['awk']],
  ['comments', "a # don't b; c\n#d\ne x#y | f", ['a', 'e', 'f']],
  [
    'here-documents',
    "cat <<'END' | b\nsort\nEND\nc <<-E\n\td\n\tE\ne <<< 'f'\n",
    [...'bce', 'cat'],
  ],
  ['lines that go on', 'a \\\n  b \\\n  | c', ['a', 'c']],
  ['arithmetic and variables', 'a $((w + 1)) $' + '{b:-c d}\n((d++))\n$E f', ['a']],
  ['programs that others start', 'x=1 xargs -0 -n 2 -I{} b {}', ['xargs'], ['b']],
  [
    'more of them',
    'timeout 10s ./c; env A=1 d; find . -exec e {} +',
    ['env', 'find', 'timeout'],
    ['./c', 'd', 'e'],
  ],
  ['what never ends', `a "$(b '`, ['a', 'b']],
])('commands of a shell script: %s', (_, script, called, started = []) => {
  expect(wordsOf(script)).toEqual({ called: called.sort(), started })
})

test('any text at all is read', () => {
  const bits = fc.constantFrom(
    '$(',
    '((',
    '))',
    ')',
    '`',
    "'",
    '"',
    '\\',
    '<<',
    'E',
    '\n',
    ' ',
    '${',
    '}',
    '#',
    'a',
  )
  fc.assert(
    fc.property(fc.array(bits, { maxLength: 60 }), parts => {
      const { called, started } = commandWords(parts.join(''))
      for (const word of [...called, ...started]) expect(word).toMatch(/^[\w./][\w.+/-]*$/)
    }),
    { numRuns: 500 },
  )
})
