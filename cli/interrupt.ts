import { setMaxListeners } from 'node:events'
import process from 'node:process'
import { ReproError } from '../src/core/errors.ts'
import { ExitCode } from '../src/core/exit-codes.ts'

const SHOW_CURSOR = '\x1b[?25h'

/**
 * The first Ctrl-C (or SIGTERM, SIGHUP) asks the work to stop and clean up; the second ends the process at once.
 * A reader that went away (`repro log | head -1`) stops the work too.
 */
export class Interrupt {
  readonly #controller = new AbortController()
  /** Set when stdout was closed by its reader. */
  readerGone = false

  constructor(say: (line: string) => void) {
    // Everything that waits listens to this one signal: many listeners are no leak.
    setMaxListeners(0, this.signal)
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        if (this.signal.aborted) this.force()
        this.#controller.abort(
          new ReproError('INTERRUPTED', `interrupted by ${name}`, {
            hints: ['repeat the command: it carries on where it can'],
          }),
        )
        if (name === 'SIGINT') say('stopping; Ctrl-C again ends at once')
      })
    }
    process.stdout.on('error', (error: NodeJS.ErrnoException) => this.#lost(error))
    process.stderr.on('error', () => undefined)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Ends the process without cleaning up more than the terminal. */
  force(): never {
    if (process.stderr.isTTY) process.stderr.write(SHOW_CURSOR)
    process.exit(ExitCode.interrupted)
  }

  #lost(error: NodeJS.ErrnoException): void {
    if (error.code === 'EPIPE') this.readerGone = true
    this.#controller.abort(
      this.readerGone
        ? new ReproError('INTERRUPTED', 'interrupted: nobody reads the standard output any more', {
            hints: ['repeat the command: it carries on where it can'],
            cause: error,
          })
        : error,
    )
  }
}
