import { Seeded } from './seeded.ts'

const WORDS = 24_000
const LINES = 60_000
const SYLLABLES =
  'al an ar as at be ca ce co de di do el en er es fa fi ga ge ha he in ing io is it la le li lo ma me mi na ne no on or pa pe pro ra re ri ro sa se si so sta su ta te ti to tra tu un ur va ve vi'.split(
    ' ',
  )

export type TextKind = 'prose' | 'python' | 'numbers'

/**
 * Text that compresses as documentation and Python do: words by Zipf's law from a vocabulary of 24,000, lines from
 * a pool of 60,000 of each kind, and every eighth line made for this file alone.
 */
export class TextSource {
  readonly #random: Seeded
  readonly #words: string[] = []
  readonly #pools: Record<TextKind, readonly Buffer[]>
  #made = 0

  constructor(seed: string) {
    this.#random = new Seeded(`${seed} text`)
    const taken = new Set<string>()
    while (taken.size < WORDS) {
      const length = 1 + this.#random.below(4)
      taken.add(Array.from({ length }, () => this.#random.pick(SYLLABLES)).join(''))
    }
    this.#words.push(...taken)
    const pool = (kind: TextKind) => Array.from({ length: LINES }, () => this.#line(kind))
    this.#pools = { prose: pool('prose'), python: pool('python'), numbers: pool('numbers') }
  }

  word(): string {
    return this.#words[Math.floor(WORDS * this.#random.float() ** 3)]!
  }

  /** A line of its own, with a number that no other has. */
  freshLine(kind: TextKind): Buffer {
    return Buffer.concat([Buffer.from(`${this.word()}_${this.#made++} `), this.#line(kind)])
  }

  text(kind: TextKind, bytes: number): Buffer {
    const all = Buffer.allocUnsafe(bytes)
    let at = 0
    for (let line = 0; at < bytes; line++) {
      const next = line % 8 === 0 ? this.freshLine(kind) : this.#random.pick(this.#pools[kind])
      at += next.copy(all, at)
    }
    return all
  }

  #line(kind: TextKind): Buffer {
    const words = (count: number) => Array.from({ length: count }, () => this.word())
    const below = (limit: number) => this.#random.below(limit)
    if (kind === 'prose') return Buffer.from(`${words(4 + below(14)).join(' ')}.\n`)
    if (kind === 'numbers')
      return Buffer.from(`${words(1)},${below(1e6)},${this.#random.float()},${below(100)}\n`)
    const indent = ' '.repeat(4 * below(4))
    const [a, b, c, d] = words(4)
    const forms = [
      `def ${a}_${b}(self, ${c}, ${d}=None):`,
      `${a} = self.${b}.${c}(${d}, ${below(1000)})`,
      `if ${a} is not None and ${b} in ${c}:`,
      `return ${a}[${b}] + ${c}.${d}()`,
      `raise ValueError("${a} ${b} ${c}: %s" % ${d})`,
      `# ${words(3 + below(8)).join(' ')}`,
      `for ${a}, ${b} in enumerate(${c}.${d}):`,
      `from ${a}.${b} import ${c}, ${d}`,
      '',
    ]
    return Buffer.from(`${indent}${this.#random.pick(forms)}\n`)
  }
}
