import type { WorkRecord } from '../../schemas/index.ts'
import { AppOutput } from './app-output.ts'
import { Board, type BoardLine } from './board.ts'
import type { Output } from './output.ts'
import { describePhase } from './progress.ts'
import type { View } from './view.ts'

const PROGRESS_EVERY_MS = 5000

/** Plain lines for pipes, log files and dumb terminals: what is finished, and a word on progress every few seconds. */
export class PlainView implements View {
  readonly #output: Output
  readonly #board: Board
  readonly #app: AppOutput
  readonly #now: () => number
  #saidMs: number
  /** Hints are said once, however many lines have them. */
  readonly #hints = new Set<string>()

  constructor(output: Output, now: () => number = Date.now) {
    this.#output = output
    this.#board = new Board(now)
    this.#app = new AppOutput(output)
    this.#now = now
    this.#saidMs = now()
  }

  async take(record: WorkRecord): Promise<void> {
    if (await this.#app.take(record)) return
    for (const line of this.#board.take(record)) this.#say(line)
    const phase = this.#board.phases.at(-1)
    if (!phase || this.#now() - this.#saidMs < PROGRESS_EVERY_MS) return
    this.#saidMs = this.#now()
    this.#output.say(describePhase(phase))
  }

  async close(failed = false): Promise<void> {
    await this.#app.close()
    for (const line of this.#board.finish(failed)) this.#say(line)
  }

  #say(line: BoardLine): void {
    if (line.kind === 'warning') this.#output.say(`warning: ${line.text}`, 'yellow')
    else if (line.kind === 'error') this.#output.alarm(line.text, 'red')
    else this.#output.say(line.text, line.kind === 'done' ? 'dim' : undefined)
    for (const hint of line.hints) {
      if (this.#hints.has(hint)) continue
      this.#hints.add(hint)
      this.#output.say(`  hint: ${hint}`)
    }
  }
}
