import { access, readdir, readFile } from 'node:fs/promises'
import { basename, delimiter, dirname, isAbsolute } from 'node:path'
import { fail, ReproError } from '../../core/errors.ts'
import { nearest } from '../../core/text.ts'
import { parallel } from '../../system/parallel.ts'
import { which } from '../../system/which.ts'
import { ELF_HEAD_BYTES, isElf, readElf } from '../elf.ts'
import { isMountPoint } from '../mount-points.ts'
import { DEFAULT_PATH } from '../oci.ts'
import { type HostFiles, readHead } from './host-files.ts'
import { isInterpreter, needsUnlistedFiles, ownLibrary } from './interpreters.ts'
import { type Library, linkFor, listLibraries, openedLater } from './libraries.ts'
import { commandWords, isShell, readShebang, type Shebang } from './scripts.ts'
import { assertHostProgram, type Trusted } from './trusted-programs.ts'

const STANDARD_FOLDERS = DEFAULT_PATH.split(delimiter)

/** Follows programs to what they need, each file once. */
export class ProgramCapture {
  readonly notes: string[] = []
  readonly #files: HostFiles
  readonly #trusted: Trusted
  readonly #signal: AbortSignal | undefined
  readonly #done = new Set<string>()
  #loader: string | null = null

  constructor(files: HostFiles, trusted: Trusted, signal?: AbortSignal) {
    this.#files = files
    this.#trusted = trusted
    this.#signal = signal
  }

  /**
   * Adds a program by the name a manifest gives, so that it is found under this name in the image.
   * Throws PROGRAM_MISSING, and IMAGE_SOURCE for one that is not this host's.
   */
  async addAsked(name: string): Promise<void> {
    await assertHostProgram(name, await this.#find(name), this.#trusted)
    await this.#addNamed(name)
  }

  async #addNamed(name: string): Promise<void> {
    let found = await this.#find(name)
    if (isInterpreter(name) && !this.#done.has(name))
      found = await this.#addInterpreter(name, found)
    else await this.#addProgram(found)
    if (needsUnlistedFiles(name))
      this.notes.push(
        `"${name}" may read data files that cannot be found out: try the app by \`repro run .\`, or use an image by podman`,
      )
    if (isAbsolute(name) || STANDARD_FOLDERS.includes(dirname(found))) return
    const real = await this.#files.add(found)
    // What lies below /tmp or /run is hidden by what runtimes mount there.
    if (isMountPoint(real.split('/')[1]!)) await this.#files.addCopy(`/usr/local/bin/${name}`, real)
    else this.#files.addLink(`/usr/local/bin/${name}`, real)
  }

  async addShell(): Promise<void> {
    if (await exists('/bin/sh')) await this.#addProgram('/bin/sh')
  }

  async #find(name: string): Promise<string> {
    if (name.includes('/') && !isAbsolute(name))
      fail('PROGRAM_MISSING', `"${name}" is neither the name nor the absolute path of a program`)
    const found = await which(name, this.#trusted.path)
    if (found) return found
    const near = nearest(basename(name), await programNames(this.#trusted.path))
    return fail('PROGRAM_MISSING', `the program "${name}" is not on this host`, {
      hints: [...(near ? [`did you mean "${near}"?`] : []), `command -v ${name}`],
      data: { program: name },
    })
  }

  async #addInterpreter(name: string, found: string): Promise<string> {
    this.#done.add(name)
    const own = await ownLibrary(found, this.#trusted.path, this.#signal)
    const program = own?.program ?? found
    await this.#addProgram(program)
    if (!own) {
      this.notes.push(`"${name}" did not say where its modules lie: they are not in the image`)
      return program
    }
    const libraries: string[] = []
    for (const path of own.paths) {
      if (!(await exists(path))) continue
      libraries.push(...(await this.#files.addTree(path, own.keep)))
    }
    const work = parallel(libraries, 8, async file => {
      if (/\.so(\.|$)|\/bin\/exec\//.test(file)) await this.#addModule(file)
    })
    for await (const _ of work) this.#signal?.throwIfAborted()
    return program
  }

  /** Adds what a module of an interpreter needs. One that lacks something would not load on this host either. */
  async #addModule(path: string): Promise<void> {
    try {
      await this.#addProgram(path)
    } catch (error) {
      if (!(error instanceof ReproError) || error.code !== 'IMAGE_SOURCE') throw error
      this.notes.push(error.message)
    }
  }

  /** Adds a program or library by its path, with all it needs. */
  async #addProgram(path: string): Promise<void> {
    this.#signal?.throwIfAborted()
    const real = await this.#files.add(path)
    if (this.#done.has(real)) return
    this.#done.add(real)
    const head = await readHead(real, ELF_HEAD_BYTES)
    if (isElf(head)) return await this.#addElf(real, head)
    const shebang = readShebang(head)
    if (shebang) await this.#addScript(real, shebang)
  }

  async #addElf(real: string, head: Buffer): Promise<void> {
    const elf = readElf(head)
    if (!elf?.dynamic) return
    const loader = elf.interpreter ?? this.#loader
    if (loader === null) return
    if (elf.interpreter !== null) {
      this.#loader ??= elf.interpreter
      await this.#files.add(elf.interpreter)
    }
    const libraries = await listLibraries(loader, real, this.#signal)
    for (const library of libraries) await this.#addLibrary(library, libraries)
    for (const path of await openedLater(libraries)) await this.#addProgram(path)
  }

  async #addLibrary(library: Library, all: readonly Library[]): Promise<void> {
    const real = await this.#files.add(library.path)
    this.#done.add(real)
    const link = linkFor(library, all)
    if (link !== null && !this.#files.has(link) && link !== library.path)
      this.#files.addLink(link, library.path)
  }

  async #addScript(real: string, { interpreter, program }: Shebang): Promise<void> {
    if (!(await exists(interpreter)))
      fail(
        'PROGRAM_MISSING',
        `the script "${real}" runs by "${interpreter}", which is not on this host`,
      )
    await this.#addProgram(interpreter)
    const runs = program ?? interpreter
    if (program !== null) await this.#addNamed(program)
    else if (isInterpreter(interpreter) && !this.#done.has(interpreter))
      await this.#addInterpreter(interpreter, interpreter)
    if (!isShell(runs)) return
    const called: string[] = []
    const words = commandWords(await readFile(real, 'utf8'))
    for (const word of new Set([...words.called, ...words.started])) {
      const found = await which(word, this.#trusted.path)
      if (!found || (word.includes('/') && !isAbsolute(word))) continue
      called.push(basename(word))
      await this.#addNamed(word)
    }
    const list = [...new Set(called)].sort().join(', ')
    this.notes.push(
      `"${basename(real)}" is a script: captured with what it seems to call (${list || 'nothing'}); name what else it needs`,
    )
  }
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

async function programNames(path: string): Promise<Set<string>> {
  const names = new Set<string>()
  for (const folder of new Set([...path.split(delimiter), ...STANDARD_FOLDERS]))
    for (const name of await readdir(folder).catch(() => [])) names.add(name)
  return names
}
