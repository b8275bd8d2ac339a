import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TerminalFilter } from '../../cli/render/terminal-filter.ts'

function filter(...chunks: (string | Uint8Array)[]): string {
  const one = new TerminalFilter()
  return chunks.map(chunk => one.push(Buffer.from(chunk))).join('') + one.end()
}

describe('TerminalFilter', () => {
  it('lets text, line ends, tabs and carriage returns pass', () => {
    expect(filter('a\tb\r\nµ 𝛼\n')).toBe('a\tb\r\nµ 𝛼\n')
  })

  it('lets colours pass and sets them back at the end', () => {
    expect(filter('\x1b[1;31mred')).toBe('\x1b[1;31mred\x1b[0m')
  })

  it.each([
    ['a cursor move', '\x1b[2A'],
    ['clearing the screen', '\x1b[2J'],
    ['a window title', '\x1b]0;owned\x07'],
    ['the clipboard', '\x1b]52;c;cm0gLXJm\x1b\\'],
    ['a device query', '\x1b[6n'],
    ['a private mode', '\x1b[?1049h'],
    ['a reset', '\x1bc'],
    ['a character set', '\x1b(0'],
    ['a device control string', '\x1bPq#0\x1b\\'],
    ['an 8-bit CSI', '\u009b2J'],
    ['an 8-bit OSC', '\u009d0;owned\u009c'],
    ['a bell', '\x07'],
    ['an override of direction', '\u202e'],
  ])('drops %s', (_name, sequence) => {
    expect(filter(`a${sequence}b`)).toBe('ab')
  })

  it('drops a sequence that is cut anywhere', () => {
    const whole = Buffer.from('x\x1b]0;title\x07y\x1b[12;3Hz')
    for (let at = 0; at <= whole.length; at++)
      expect(filter(whole.subarray(0, at), whole.subarray(at))).toBe('xyz')
  })

  it('never lets an escape through but for colours', () => {
    const alphabet = fc.constantFrom(
      '\x1b',
      '[',
      ']',
      'm',
      'H',
      '\x07',
      ';',
      '1',
      'a',
      '\\',
      'P',
      '\u009b',
    )
    fc.assert(
      fc.property(fc.array(fc.string({ unit: alphabet })), chunks => {
        const rest = filter(...chunks).replace(/\x1b\[[0-9;:]*m/g, '')
        expect(rest).not.toMatch(/[\x00-\x06\x07\x1b\x80-\x9f]/)
      }),
    )
  })
})
