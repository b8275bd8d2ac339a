import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type Hypercore from 'hypercore'
import { z } from 'zod'
import { writeFileAtomic } from '../../system/atomic-file.ts'

/** By the core's key in hex: blocks that were given up and are not back yet. */
const journalFile = z.strictObject({
  format: z.literal(0),
  blocks: z.record(z.string(), z.array(z.int().min(0))),
})

const opened = new Map<string, Promise<RepairJournal>>()

/** `<home>/repairs/<key>.json`: which blocks of a bundle were given up to be fetched anew. It is there only while there are some. */
export class RepairJournal {
  readonly #path: string
  readonly #blocks: Map<string, Set<number>>
  #written: Promise<void> = Promise.resolve()

  private constructor(path: string, blocks: Map<string, Set<number>>) {
    this.#path = path
    this.#blocks = blocks
  }

  /** The same journal for all of a process. One that cannot be read is empty: what it named shows as missing. */
  static async open(home: string, key: string): Promise<RepairJournal> {
    const path = join(home, 'repairs', `${key}.json`)
    const journal = opened.get(path) ?? RepairJournal.#read(path)
    opened.set(path, journal)
    journal.catch(() => opened.delete(path))
    return await journal
  }

  static async #read(path: string): Promise<RepairJournal> {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    const parsed = journalFile.safeParse(parse(text))
    const blocks = Object.entries(parsed.success ? parsed.data.blocks : {})
    return new RepairJournal(path, new Map(blocks.map(([core, list]) => [core, new Set(list)])))
  }

  /** What an earlier repair gave up of a core. */
  pending(core: Hypercore): number[] {
    return [...(this.#blocks.get(keyOf(core)) ?? [])]
  }

  /** Notes, durably, that blocks are about to be given up. */
  async begin(core: Hypercore, indexes: readonly number[]): Promise<void> {
    const set = this.#blocks.get(keyOf(core)) ?? new Set()
    this.#blocks.set(keyOf(core), set)
    for (const index of indexes) set.add(index)
    await this.#write()
  }

  /** Notes that blocks are back. */
  async end(core: Hypercore, indexes: readonly number[]): Promise<void> {
    const set = this.#blocks.get(keyOf(core))
    for (const index of indexes) set?.delete(index)
    if (set?.size === 0) this.#blocks.delete(keyOf(core))
    await this.#write()
  }

  /** One write after another: each is of all that is known when it begins. */
  async #write(): Promise<void> {
    const write = this.#written.then(() => this.#writeNow())
    this.#written = write.catch(() => undefined)
    await write
  }

  async #writeNow(): Promise<void> {
    if (this.#blocks.size === 0) {
      await rm(this.#path, { force: true })
      return
    }
    const blocks = Object.fromEntries([...this.#blocks].map(([core, set]) => [core, [...set]]))
    await writeFileAtomic(this.#path, `${JSON.stringify({ format: 0, blocks })}\n`)
  }
}

const keyOf = (core: Hypercore) => core.key.toString('hex')

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
