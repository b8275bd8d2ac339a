import { type Instance, render } from 'ink'
import type { WorkRecord } from '../../schemas/index.ts'
import { chunkOf } from '../render/app-output.ts'
import { Board, type BoardLine } from '../render/board.ts'
import type { Output } from '../render/output.ts'
import { TerminalFilter } from '../render/terminal-filter.ts'
import type { View } from '../render/view.ts'
import { WorkView } from './work-view.tsx'

const DRAW_EVERY_MS = 80
const MAX_TAIL = 4096

/**
 * The live view: finished lines and the app's own output scroll away above one live area.
 * It reads no key, so Ctrl-C reaches the process as a signal; closing it leaves the terminal as it was.
 */
export class LiveView implements View {
  readonly #output: Output
  readonly #board = new Board()
  readonly #filters = { stdout: new TerminalFilter(), stderr: new TerminalFilter() }
  readonly #ink: Instance
  #lines: (BoardLine & { id: number })[] = []
  #tail = ''
  #timer: NodeJS.Timeout | null = null
  #write: (text: string) => void = () => undefined

  constructor(output: Output, stdout: NodeJS.WriteStream) {
    this.#output = output
    this.#ink = render(this.#tree(), { stdout, exitOnCtrlC: false, patchConsole: false })
    output.redirect(text => this.#write(text))
  }

  take(record: WorkRecord): void {
    if (record.action === 'stdout' || record.action === 'stderr') {
      this.#show(this.#filters[record.action].push(chunkOf(record)))
      return
    }
    this.#add(this.#board.take(record))
    this.#drawSoon()
  }

  async close(failed = false): Promise<void> {
    this.#show(this.#filters.stdout.end() + this.#filters.stderr.end())
    if (this.#tail !== '') this.#show('\n')
    this.#add(this.#board.finish(failed))
    this.#draw()
    this.#output.redirect(null)
    this.#ink.unmount()
    await this.#ink.waitUntilExit()
  }

  #add(lines: readonly BoardLine[]): void {
    for (const line of lines) this.#lines.push({ ...line, id: this.#lines.length })
  }

  /** Whole lines go above the live area at once; the unfinished rest waits in it. */
  #show(text: string): void {
    if (text === '') return
    const all = this.#tail + text
    const end = all.length > MAX_TAIL ? all.length : all.lastIndexOf('\n') + 1
    this.#tail = all.slice(end)
    if (end > 0) {
      this.#draw()
      this.#write(all.endsWith('\n', end) ? all.slice(0, end) : `${all.slice(0, end)}\n`)
    }
    this.#drawSoon()
  }

  #drawSoon(): void {
    this.#timer ??= setTimeout(() => this.#draw(), DRAW_EVERY_MS)
  }

  #draw(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#ink.rerender(this.#tree())
  }

  readonly #keepWriter = (write: (text: string) => void) => {
    this.#write = write
  }

  #tree() {
    const tail = this.#tail.split('\r').at(-1) ?? ''
    return (
      <WorkView
        lines={this.#lines}
        phases={this.#board.phases}
        tail={tail.replaceAll('\b', '')}
        onWriter={this.#keepWriter}
      />
    )
  }
}
