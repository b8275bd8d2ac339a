import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  comparePaths,
  isReserved,
  linkFault,
  pathFault,
  twinKey,
} from '../../src/core/archive-path.ts'
import { canonicalJson, isCanonicalJson } from '../../src/core/canonical-json.ts'
import { ReproError } from '../../src/core/errors.ts'
import { compilePattern } from '../../src/core/glob.ts'
import { assertLinksInside, LinkTree } from '../../src/core/link-tree.ts'
import { PathCover } from '../../src/core/path-cover.ts'
import { durationMs, sizeBytes } from '../../src/core/quantity.ts'
import { formatReference, isKey, parseReference, type Reference } from '../../src/core/reference.ts'
import { escapeControl, formatBytes, nearest } from '../../src/core/text.ts'
import { decodeZ32, encodeZ32 } from '../../src/core/z32.ts'

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const key = bytes32.map(bytes => encodeZ32(bytes))
const name = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}$/)
const goodPath = fc
  .array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), {
    minLength: 1,
    maxLength: 5,
  })
  .map(parts => parts.join('/'))
  .filter(path => pathFault(path) === null)

describe('a cover of paths', () => {
  const part = fc.constantFrom('a', 'b', 'a-', 'a.b', '-', '!')
  const path = fc.array(part, { minLength: 1, maxLength: 4 }).map(parts => parts.join('/'))
  const below = (lower: string, upper: string) => lower === upper || lower.startsWith(`${upper}/`)

  it('keeps the paths that lie below no other, and finds the one over any', () => {
    fc.assert(
      fc.property(fc.array(path), path, (paths, asked) => {
        const cover = new PathCover(paths)
        const tops = paths.filter(one => !paths.some(other => other !== one && below(one, other)))
        expect(cover.tops.sort()).toEqual([...new Set(tops)].sort())
        expect(cover.over(asked)).toBe(tops.find(top => below(asked, top)) ?? null)
      }),
    )
  })
})

describe('paths', () => {
  it('that are accepted stay below any folder, however they are resolved', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), path => {
        if (pathFault(path) !== null) return
        const url = path.split('/')
        expect(url.every(part => part !== '' && part !== '.' && part !== '..')).toBe(true)
        expect(path).not.toMatch(/[\u0000-\u001f\\]/)
        expect(Buffer.from(path).toString()).toBe(path)
      }),
    )
  })

  it.each([
    ['', 'is empty'],
    ['/a', 'absolute'],
    ['a//b', 'empty part'],
    ['a/', 'empty part'],
    ['./a', '"." part'],
    ['a/../b', '".." part'],
    ['a\nb', 'control'],
    ['a\u0085b', 'control'],
    ['a\\b', 'backslash'],
    ['a\u202eb', 'direction'],
    ['\ud800', 'UTF-8'],
    ['x'.repeat(256), 'longer'],
    [Array(900).fill('abcde').join('/'), 'longer'],
  ])('%j is refused', (path, why) => {
    expect(pathFault(path)).toContain(why)
  })

  it.each(['.repro', '.repro/x', '.REPRO/x', '.ｒepro', '.Repro'])('%s is ours', path => {
    expect(isReserved(path)).toBe(true)
  })
  it.each(['a/.repro', '.reprox', 'repro'])('%s is not ours', path => {
    expect(isReserved(path)).toBe(false)
  })

  it('are ordered as their UTF-8 bytes are', () => {
    fc.assert(
      fc.property(goodPath, goodPath, (a, b) => {
        expect(Math.sign(comparePaths(a, b))).toBe(
          Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))),
        )
        expect(comparePaths(a, b)).toBe(-comparePaths(b, a) || 0)
      }),
    )
    expect(comparePaths('\uffee', '\u{10000}')).toBeLessThan(0)
  })

  it('have the same twin key in whatever form and case they are written', () => {
    fc.assert(
      fc.property(goodPath, path => {
        expect(twinKey(path.normalize('NFD'))).toBe(twinKey(path.normalize('NFC')))
        expect(twinKey(twinKey(path))).toBe(twinKey(path))
      }),
    )
  })
})

describe('links', () => {
  const part = fc.constantFrom('a', 'b', 'c', '..', '.', '')
  const target = fc.array(part, { minLength: 1, maxLength: 6 }).map(parts => parts.join('/'))
  const place = fc.constantFrom('a', 'b', 'c', 'a/b', 'a/c', 'b/a/c', 'c/b')

  it('that pass lead nowhere outside, one after another', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(place, target), { selector: ([p]) => p }), pairs => {
        // A set of links passes as a whole: without one of them, another may lead elsewhere.
        const links = new Map<string, string>(pairs)
        let faults = new LinkTree(links).faults()
        for (; faults.size > 0; faults = new LinkTree(links).faults())
          for (const path of faults.keys()) links.delete(path)
        const tree = new LinkTree(links)
        for (const path of links.keys()) expect(tree.follow(path)).not.toBe('outside')
      }),
      { numRuns: 1000 },
    )
  })

  it('that leave by way of another link are found', () => {
    const links = new Map([
      ['a/b/up', '..'],
      ['a/b/p', 'up/../../x'],
    ])
    expect(linkFault('a/b/p', 'up/../../x')).toBeNull()
    expect([...new LinkTree(links).faults().keys()]).toEqual(['a/b/p'])
  })

  it('that leave are refused by name, with what is no link beside them', () => {
    const entries = [
      { path: 'a/b/p', type: 'link' as const, target: 'up/../../x' },
      { path: 'a/x', type: 'folder' as const },
    ]
    expect(() => assertLinksInside(entries)).not.toThrow()
    const up = { path: 'a/b/up', type: 'link' as const, target: '..' }
    expect(() => assertLinksInside([...entries, up])).toThrow(/"a\/b\/p".*way of another link/)
  })

  it('in a circle are no way out', () => {
    const links = new Map([
      ['a', 'b'],
      ['b', 'a'],
    ])
    expect(new LinkTree(links).follow('a/x')).toBe('loop')
    expect(new LinkTree(links).faults().size).toBe(0)
  })
})

describe('canonical JSON', () => {
  const json = fc.jsonValue().map(value => JSON.parse(JSON.stringify(value)) as unknown)

  it('is JSON of the same value, and the same for any order of keys', () => {
    fc.assert(
      fc.property(json, value => {
        const text = canonicalJson(value)
        expect(JSON.parse(text)).toEqual(value)
        expect(canonicalJson(JSON.parse(text))).toBe(text)
        expect(canonicalJson(shuffled(value))).toBe(text)
        expect(isCanonicalJson(text)).toBe(true)
      }),
    )
  })

  it('is recognised, and any other form is not', () => {
    for (const text of ['{"b":1,"a":2}', '{"a": 1}', '1.0', '"\\u0061"', '[1,]', '', '{"a":1}\n'])
      expect(isCanonicalJson(text), text).toBe(false)
  })

  // RFC 8785, section 3.2.3 and appendix B.
  it('orders keys and prints numbers as RFC 8785 says', () => {
    const value = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, ö: 7 }
    expect(canonicalJson(value)).toBe(
      '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"\u{1f600}":5,"\ufb33":3}',
    )
    const numbers = [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 1e-27, -0, 1e21, 5e-324]
    expect(canonicalJson(numbers)).toBe('[333333333.3333333,1e+30,4.5,0.002,1e-27,0,1e+21,5e-324]')
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, '\ud800', [undefined], () => 1, 1n])(
    'refuses what JSON cannot hold: %s',
    value => {
      expect(() => canonicalJson(value)).toThrow(TypeError)
    },
  )
})

describe('z-base-32', () => {
  it('brings bytes back, and keys have 52 characters', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
        expect(decodeZ32(encodeZ32(bytes))).toEqual(Buffer.from(bytes))
      }),
    )
    fc.assert(fc.property(key, text => isKey(text) && text.length === 52))
  })

  it('has one text for each key: whatever else decodes is refused', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), text => {
        const bytes = decodeZ32(text)
        if (bytes) expect(encodeZ32(bytes)).toBe(text)
      }),
    )
    const last = encodeZ32(new Uint8Array(32)).slice(0, -1)
    expect([...'ybndrfg8ejkmcpqxot1uwisza345h769'].filter(ch => isKey(last + ch))).toEqual([
      'y',
      'o',
    ])
  })
})

describe('references', () => {
  const release = fc.oneof(
    fc.integer({ min: 1, max: 999_999 }),
    fc.stringMatching(/^[A-Za-z][A-Za-z0-9._-]{0,20}$/),
  )
  const hash = bytes32.map(b => `blake3:${Buffer.from(b).toString('hex')}` as const)
  const reference: fc.Arbitrary<Reference> = fc.oneof(
    fc.record(
      {
        kind: fc.constant('key' as const),
        key,
        release,
        hash,
        app: fc.string({ unit: 'grapheme', minLength: 1 }),
        secret: key,
      },
      { requiredKeys: ['kind', 'key'] },
    ),
    fc.record(
      { kind: fc.constant('name' as const), name, release },
      { requiredKeys: ['kind', 'name'] },
    ),
  )

  it('are read as they were written', () => {
    fc.assert(
      fc.property(reference, ref => {
        if (ref.kind === 'name' && (isKey(ref.name) || ref.name.endsWith('.repro'))) return
        if (
          ref.kind === 'name' &&
          typeof ref.release === 'string' &&
          ref.release.endsWith('.repro')
        )
          return
        expect(parseReference(formatReference(ref))).toEqual(ref)
      }),
    )
  })

  it('are parsed or refused with a word, whatever is typed', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string().map(text => `repro://${text}`),
        ),
        text => {
          try {
            parseReference(text)
          } catch (error) {
            expect(error).toBeInstanceOf(ReproError)
            expect((error as ReproError).code).toBe('REFERENCE_INVALID')
            expect((error as Error).message).not.toMatch(/[\u0000-\u0008\u001b]/)
          }
        },
      ),
    )
  })

  const K = 'y'.repeat(52)
  it.each([
    ['.', 'folder'],
    ['./x', 'folder'],
    ['../x.repro', 'file'],
    ['/x', 'folder'],
    ['x.repro', 'file'],
    ['name', 'name'],
    ['name@v1', 'name'],
    [K, 'key'],
    [`${K}@2`, 'key'],
    [`repro://${K}/2?hash=blake3:${'0'.repeat(64)}#app=a`, 'key'],
  ])('%s is a %s', (text, kind) => {
    expect(parseReference(text).kind).toBe(kind)
  })

  it.each([
    `${K}@0`,
    `${K}@`,
    `${K}@1@2`,
    `repro://${K.slice(1)}`,
    `repro://${K}?hash=sha256:${'0'.repeat(64)}`,
    `repro://${K}?hash=blake3:0`,
    `repro://${K}?other=1`,
    `repro://${K}#app=%`,
    `repro://${K}#app=`,
    'a b',
    '',
  ])('%j is none', text => {
    expect(() => parseReference(text)).toThrow(ReproError)
  })
})

describe('patterns', () => {
  const part = fc.stringMatching(/^[ab*?]{1,4}$/)
  const pattern = fc.array(part, { minLength: 1, maxLength: 4 }).map(parts => parts.join('/'))
  const path = fc
    .array(fc.stringMatching(/^[ab]{1,4}$/), { minLength: 1, maxLength: 4 })
    .map(parts => parts.join('/'))

  /** The same meaning by a regular expression, which a hostile pattern may not be given. */
  function oracle(text: string): RegExp {
    const parts = text.split('/').map(one => (one === '**' ? null : one))
    let source = ''
    for (const [i, one] of parts.entries()) {
      const last = i === parts.length - 1
      if (one === null) source += last ? '.*' : '(?:[^/]+/)*'
      else {
        const body = one.replace(/\*+/g, '[^/]*').replace(/\?/g, '[^/]')
        source += last ? `${body}(?:/.*)?` : `${body}/`
      }
    }
    return new RegExp(`^${source}$`)
  }

  it('match as they say', () => {
    fc.assert(
      fc.property(pattern, path, (text, subject) => {
        // "a/**" as a path of its own is left to the named examples.
        if (text.includes('/**/**') || text.endsWith('/**')) return
        expect(compilePattern(text).matches(subject)).toBe(oracle(text).test(subject))
      }),
      { numRuns: 2000 },
    )
  })

  it('match themselves, and what lies below', () => {
    fc.assert(
      fc.property(path, fc.array(path, { maxLength: 2 }), (text, below) => {
        expect(compilePattern(text).matches([text, ...below].join('/'))).toBe(true)
      }),
    )
  })

  it.each([
    ['code/**', 'code/a/b', false, true],
    ['code/**', 'codex/a', false, false],
    ['**/x', 'x', false, true],
    ['**/x', 'a/b/x', false, true],
    ['*.tmp', 'a/b.tmp', true, true],
    ['*.tmp', 'a/b.tmp', false, false],
    ['/top', 'a/top', true, false],
    ['/top', 'top/x', true, true],
    ['dir/', 'a/dir/x', true, true],
    ['a/b', 'c/a/b', true, false],
    ['./a', 'a', false, true],
  ])('%s on %s (anywhere: %s) is %s', (text, subject, anywhere, want) => {
    expect(compilePattern(text, anywhere).matches(subject)).toBe(want)
  })

  it('cost little, whatever they are', () => {
    const hostile = compilePattern(`${'**/*a*'.repeat(1)}/${'**/'.repeat(200)}${'*a'.repeat(200)}b`)
    expect(hostile.matches(Array(200).fill('a'.repeat(100)).join('/'))).toBe(false)
  })
})

describe('text', () => {
  it('that is escaped holds nothing that moves a terminal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        expect(escapeControl(text)).not.toMatch(
          /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/,
        )
      }),
    )
    fc.assert(fc.property(fc.stringMatching(/^[ -~]*$/), text => escapeControl(text) === text))
  })

  it('of sizes has at most five digits and a unit', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), bytes => {
        expect(formatBytes(bytes)).toMatch(/^\d{1,4}(\.\d)? (B|kB|MB|GB|TB|PB)$/)
      }),
    )
  })

  it('finds the word that was meant after one typing error', () => {
    const words = ['exclude', 'outputs', 'resources', 'command', 'summary']
    fc.assert(
      fc.property(
        fc.constantFrom(...words),
        fc.nat(20),
        fc.constantFrom('', 'q'),
        (word, n, ch) => {
          const i = n % word.length
          expect(nearest(word.slice(0, i) + ch + word.slice(i + 1), words)).toBe(word)
        },
      ),
    )
    expect(nearest('zebra', words)).toBeUndefined()
  })
})

describe('quantities', () => {
  it.each([
    ['4GiB', 4 * 2 ** 30],
    ['500MB', 500e6],
    ['1.5 kB', 1500],
    ['7B', 7],
    [12, 12],
    ['4 elephants', null],
    ['4gb', null],
    ['-1MB', null],
    ['9999999PiB', null],
    ['1constructor', null],
  ])('%s is %s bytes', (text, bytes) => {
    expect(sizeBytes(text)).toBe(bytes)
  })

  it.each([
    ['90s', 90_000],
    ['10min', 600_000],
    ['2h', 7_200_000],
    ['1.5d', 129_600_000],
    [3, 3000],
    ['3m', null],
    ['', null],
  ])('%s is %s ms', (text, ms) => {
    expect(durationMs(text)).toBe(ms)
  })
})

function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([k, v]) => [k, shuffled(v)]),
  )
}
