import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type NamesFile, namesFile } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { nearest } from '../core/text.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'

/** The local names of bundles, in `<home>/names.json`. Its owner is the process that owns the store. */
export class Names {
  readonly #path: string
  #writing: Promise<unknown> = Promise.resolve()

  constructor(home: string) {
    this.#path = join(home, 'names.json')
  }

  /** The key behind a name. Throws NOT_FOUND with the nearest name, STORE_INVALID. */
  async resolve(name: string): Promise<string> {
    const { names } = await this.#read()
    const key = Object.hasOwn(names, name) ? names[name] : undefined
    if (key !== undefined) return key
    const near = nearest(name, Object.keys(names))
    return fail('NOT_FOUND', `no bundle of this home is called "${name}"`, {
      hints: [
        ...(near === undefined ? [] : [`did you mean "${near}"?`]),
        'a folder is written ./name; a bundle of somebody else is named by its key of 52 characters',
      ],
      data: { name },
    })
  }

  /** Throws STORE_INVALID when the list is damaged. */
  async check(): Promise<void> {
    await this.#read()
  }

  /** Gives a name to a key when nobody has it. Returns the key that has the name now. */
  async claim(name: string, key: string): Promise<string> {
    const claiming = this.#writing.then(async () => {
      const { names } = await this.#read()
      const taken = Object.hasOwn(names, name) ? names[name] : undefined
      if (taken !== undefined) return taken
      const next: NamesFile = { format: 0, names: { ...names, [name]: key } }
      await writeFileAtomic(this.#path, `${JSON.stringify(next, null, 2)}\n`)
      return key
    })
    this.#writing = claiming.catch(() => undefined)
    return await claiming
  }

  /** Takes all names of a key away. */
  async forget(key: string): Promise<void> {
    const forgetting = this.#writing.then(async () => {
      const { names } = await this.#read()
      const kept = Object.entries(names).filter(([, holder]) => holder !== key)
      if (kept.length === Object.keys(names).length) return
      const next: NamesFile = { format: 0, names: Object.fromEntries(kept) }
      await writeFileAtomic(this.#path, `${JSON.stringify(next, null, 2)}\n`)
    })
    this.#writing = forgetting.catch(() => undefined)
    await forgetting
  }

  async #read(): Promise<NamesFile> {
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
    if (text === null) return { format: 0, names: {} }
    try {
      return namesFile.parse(JSON.parse(text))
    } catch (cause) {
      return fail('STORE_INVALID', `"${this.#path}" is no list of names`, {
        hints: ['move it away: names are only a convenience, keys work without it'],
        cause,
      })
    }
  }
}
