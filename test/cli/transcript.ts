import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { REPO, REPRO } from './binary.ts'

/**
 * A transcript of the command line. Lines:
 *   # comment
 *   copy <path in fixtures> <folder>     file <path> (its content follows in lines with "| ")
 *   $ repro …            a command; `? n` its exit code (0 when absent); `> ` and `2> ` its output
 *   & repro …            the same in the background until the transcript ends; its `> ` lines are waited for
 * In expected lines `...` alone stands for any number of lines, and `{name}` for what PLACEHOLDERS says;
 * a name with a number (`{key1}`) is bound at its first use and can be typed in later commands.
 */
export interface Step {
  readonly line: number
  readonly kind: 'copy' | 'file' | 'run' | 'background'
  readonly words: readonly string[]
  code: number
  readonly stdout: string[]
  readonly stderr: string[]
  readonly content: string[]
}

const PLACEHOLDERS: Readonly<Record<string, string>> = {
  version: '\\d+\\.\\d+\\.\\d+\\S*',
  key: '[ybndrfg8ejkmcpqxot1uwisza345h769]{52}',
  hash: '[0-9a-f]{64}',
  time: '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?Z',
  took: '(?:[\\d.]+ (?:ms|s|min|h) ?)+',
  size: '[\\d.]+ [kMGTP]?B',
  n: '[\\d,]+',
  address: '127\\.0\\.0\\.1:\\d{1,5}',
  port: '\\d{1,5}',
  path: '\\S+',
  any: '.*',
}

export function parseTranscript(text: string): Step[] {
  const steps: Step[] = []
  text.split('\n').forEach((raw, index) => {
    const line = raw.trimEnd()
    const last = steps.at(-1)
    if (line === '' || line.startsWith('#')) return
    const start = /^(\$|&|copy|file) (.*)$/.exec(line)
    if (start) {
      const kind = ({ $: 'run', '&': 'background' } as const)[start[1]!] ?? start[1]
      steps.push({
        line: index + 1,
        kind: kind as Step['kind'],
        words: splitWords(start[2]!),
        code: 0,
        stdout: [],
        stderr: [],
        content: [],
      })
      return
    }
    if (!last) throw new Error(`line ${index + 1} belongs to no command`)
    if (line.startsWith('? ')) last.code = Number(line.slice(2))
    else if (/^> ?/.test(line)) last.stdout.push(line.slice(2))
    else if (/^2> ?/.test(line)) last.stderr.push(line.slice(3))
    else if (/^\| ?/.test(line)) last.content.push(line.slice(2))
    else throw new Error(`line ${index + 1} is not understood: ${line}`)
  })
  return steps
}

/** Words by blanks; '…' and "…" keep blanks. */
function splitWords(text: string): string[] {
  return [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(m => m[1] ?? m[2] ?? m[3] ?? '')
}

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the steps of one transcript in a folder of its own; throws with the line where it went another way. */
export class TranscriptRun {
  readonly #folder: string
  readonly #env: Record<string, string>
  readonly #bound = new Map<string, string>()
  readonly #background: ChildProcess[] = []

  constructor(folder: string, env: Record<string, string>) {
    this.#folder = folder
    this.#env = env
  }

  async run(step: Step): Promise<void> {
    const words = step.words.map(word => this.#fill(word))
    if (step.kind === 'copy') {
      await cp(join(REPO, 'fixtures', words[0]!), join(this.#folder, words[1]!), {
        recursive: true,
      })
    } else if (step.kind === 'file') {
      const path = join(this.#folder, words[0]!)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, step.content.map(line => `${line}\n`).join(''))
    } else if (step.kind === 'background') await this.#start(step, words)
    else this.#check(step, await this.#execute(words))
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#background.map(async child => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const ended = new Promise(resolve => child.once('exit', resolve))
        child.kill('SIGTERM')
        await ended
      }),
    )
  }

  #spawn(words: readonly string[]): ChildProcess {
    if (words[0] !== 'repro') throw new Error(`only repro is run in transcripts, not "${words[0]}"`)
    const { REPRO_HOME = '', ...rest } = this.#env
    const home = words[1]?.startsWith('@') ? words[1].slice(1) : null
    const env = { ...rest, REPRO_HOME: home ? join(this.#folder, `home-${home}`) : REPRO_HOME }
    return spawn(process.execPath, [REPRO, ...words.slice(home ? 2 : 1)], {
      cwd: this.#folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  async #execute(words: readonly string[]): Promise<Outcome> {
    const child = this.#spawn(words)
    const text = { stdout: '', stderr: '' }
    child.stdout!.setEncoding('utf8').on('data', chunk => (text.stdout += chunk))
    child.stderr!.setEncoding('utf8').on('data', chunk => (text.stderr += chunk))
    const code = await new Promise<number | null>(resolve => child.once('close', resolve))
    return { code, ...text }
  }

  async #start(step: Step, words: readonly string[]): Promise<void> {
    const child = this.#spawn(words)
    this.#background.push(child)
    let stderr = ''
    child.stderr!.setEncoding('utf8').on('data', chunk => (stderr += chunk))
    const wanted = [...step.stdout]
    const lines: string[] = []
    for await (const line of createInterface({ input: child.stdout! })) {
      lines.push(line)
      if (lines.length >= wanted.length) break
    }
    this.#compare(step, 'stdout', wanted, lines, stderr)
  }

  #check(step: Step, found: Outcome): void {
    const told = `\nstdout:\n${found.stdout}\nstderr:\n${found.stderr}`
    if (found.code !== step.code)
      throw new Error(`line ${step.line}: exit code ${found.code} instead of ${step.code}${told}`)
    this.#compare(step, 'stdout', step.stdout, linesOf(found.stdout), found.stderr)
    this.#compare(step, 'stderr', step.stderr, linesOf(found.stderr), found.stdout)
  }

  #compare(
    step: Step,
    stream: string,
    wanted: readonly string[],
    found: readonly string[],
    other: string,
  ): void {
    const bound = new Map(this.#bound)
    if (this.#match(wanted, found)) return
    for (const key of this.#bound.keys()) if (!bound.has(key)) this.#bound.delete(key)
    throw new Error(
      `line ${step.line}: ${stream} is another\nexpected:\n${wanted.join('\n')}\nfound:\n${found.join('\n')}\nthe other stream:\n${other}`,
    )
  }

  #match(wanted: readonly string[], found: readonly string[]): boolean {
    const [first, ...rest] = wanted
    if (first === undefined) return found.length === 0
    if (first === '...') {
      for (let skip = 0; skip <= found.length; skip++)
        if (this.#match(rest, found.slice(skip))) return true
      return false
    }
    const line = found[0]
    if (line === undefined || !this.#matchLine(first, line)) return false
    return this.#match(rest, found.slice(1))
  }

  #matchLine(wanted: string, line: string): boolean {
    const names: string[] = []
    const pattern = wanted
      .split(/(\{[a-z]+\d*\})/)
      .map(part => {
        const name = /^\{([a-z]+)(\d*)\}$/.exec(part)
        const source = name ? PLACEHOLDERS[name[1]!] : undefined
        if (!name || source === undefined) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
        if (name[2] === '') return `(?:${source})`
        const known = this.#bound.get(part)
        if (known !== undefined) return known.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
        names.push(part)
        return `(${source})`
      })
      .join('')
    const match = new RegExp(`^${pattern}$`, 'u').exec(line)
    if (!match) return false
    names.forEach((name, i) => {
      this.#bound.set(name, match[i + 1]!)
    })
    return true
  }

  #fill(word: string): string {
    return word.replace(/\{[a-z]+\d+\}/g, name => this.#bound.get(name) ?? name)
  }
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}
