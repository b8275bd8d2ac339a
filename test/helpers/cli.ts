import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { type WorkRecord, workRecord } from '../../schemas/index.ts'

export const checkout = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
export const lambdaPhage = join(checkout, 'fixtures/experiments/lambda-phage')
/** The built command; `npm test` builds it first. */
export const program = join(checkout, 'dist/cli/repro.js')

export interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface PersonOptions {
  /** The Node that runs the command; this one when absent. */
  readonly node?: string
  /** Added to the environment, over what is always set. */
  readonly env?: Readonly<Record<string, string>>
  /** Wraps the command line, to start it as another user or under limits. */
  readonly launch?: (args: readonly string[]) => [string, string[]]
}

/** Somebody with a home of their own, who types commands. Nothing of the caller's environment but PATH reaches them. */
export class Person {
  readonly folder: string
  readonly home: string
  readonly cache: string
  readonly #options: PersonOptions

  constructor(folder: string, options: PersonOptions = {}) {
    this.folder = folder
    this.home = join(folder, 'home')
    this.cache = join(folder, 'cache')
    this.#options = options
    mkdirSync(folder, { recursive: true })
  }

  /** Runs `repro args…` to its end, whatever that is. */
  async repro(...args: readonly string[]): Promise<Outcome> {
    const child = this.start(args)
    const text = { stdout: '', stderr: '' }
    child.stdout!.setEncoding('utf8').on('data', chunk => (text.stdout += chunk))
    child.stderr!.setEncoding('utf8').on('data', chunk => (text.stderr += chunk))
    return await new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => resolve({ code, signal, ...text }))
    })
  }

  /** Runs `repro args… --json`; throws unless it ended with `code`. Gives its records, and the data of the last. */
  async json(args: readonly string[], code = 0): Promise<Answer> {
    const outcome = await this.repro(...args, '--json')
    if (outcome.code !== code)
      throw new Error(
        `repro ${args.join(' ')} ended with ${outcome.code}, not ${code}\n${outcome.stdout}\n${outcome.stderr}`,
      )
    return answerOf(outcome.stdout)
  }

  /** Starts `repro args…`; ended when the test is finished, if it still runs then. */
  start(args: readonly string[]): ChildProcess {
    const [command, rest] = this.#options.launch?.(args) ?? [
      this.#options.node ?? process.execPath,
      [program, ...args],
    ]
    return spawn(command, rest, {
      cwd: this.folder,
      env: this.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  get environment(): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: this.folder,
      REPRO_HOME: this.home,
      REPRO_CACHE: this.cache,
      REPRO_BOOTSTRAP: 'none',
      NO_COLOR: '1',
      ...this.#options.env,
    }
  }
}

export interface Answer {
  readonly records: readonly WorkRecord[]
  /** `data` of the last record; of an error its code, message and hints. */
  // biome-ignore lint/suspicious/noExplicitAny: each command has its own result
  readonly result: any
}

/** The records on stdout of a command with `--json`; each must be one. */
export function answerOf(stdout: string): Answer {
  const records = stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => workRecord.parse(JSON.parse(line)))
  const last = records.at(-1)
  if (!last) throw new Error('the command printed no record')
  return { records, result: last.action === 'error' ? last : last.data }
}

/** A folder that is gone when the test is finished. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'repro-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * Starts `repro share` and waits until peers can come. Gives the direct TCP address. Stopped when the test is finished,
 * or by `whenDone`, for a share that several tests use.
 */
export async function share(
  person: Person,
  args: readonly string[] = ['--listen', '127.0.0.1:0'],
  whenDone: (stop: () => Promise<void>) => void = onTestFinished,
): Promise<{ peer: string; stop(): Promise<void> }> {
  const child = person.start(['share', ...args, '--json'])
  const ended = new Promise<void>(resolve => {
    child.once('close', () => resolve())
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  whenDone(stop)
  let stderr = ''
  child.stderr!.setEncoding('utf8').on('data', chunk => (stderr += chunk))
  for await (const line of createInterface({ input: child.stdout! })) {
    const { action, data } = workRecord.parse(JSON.parse(line))
    if (action !== 'entry') continue
    const at = data?.['listening'] as { host: string; port: number } | null | undefined
    child.stdout!.resume()
    return { peer: at ? `${at.host}:${at.port}` : '', stop }
  }
  throw new Error(`repro share ended: ${stderr}`)
}
