import { escapeControl } from '../../src/core/text.ts'
import { TerminalFilter } from './terminal-filter.ts'

/** A stream we write to; `process.stdout` and `process.stderr` are such. */
export interface Sink {
  readonly isTTY?: boolean
  readonly columns?: number
  write(bytes: string | Uint8Array, done?: (error?: Error | null) => void): boolean
}

export interface OutputMode {
  readonly json: boolean
  readonly quiet: boolean
}

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red'
const SGR: Record<Style, string> = { bold: '1', dim: '2', green: '32', yellow: '33', red: '31' }

/**
 * The only door to the terminal. Results go to stdout, everything said on the way to stderr.
 * Whatever is printed as text is escaped here: no stranger's byte moves the cursor.
 */
export class Output {
  readonly stdout: Sink
  readonly stderr: Sink
  readonly mode: OutputMode
  readonly #colors: boolean
  #above: ((text: string) => void) | null = null

  constructor(stdout: Sink, stderr: Sink, mode: OutputMode, colors: boolean) {
    this.stdout = stdout
    this.stderr = stderr
    this.mode = mode
    this.#colors = colors
  }

  /** One line of the result, whatever line feeds are in `text`; nothing with `--json`. */
  line(text = '', style?: Style): void {
    if (this.mode.json) return
    this.#write(`${this.#paint(escapeControl(text), style, this.stdout)}\n`, false)
  }

  /** A stranger's text of several lines, each behind a mark that no line of ours begins with. */
  block(text: string): void {
    const lines = text.trimEnd().replaceAll('\t', '  ').split(/\r?\n/)
    for (const line of lines) this.line(`  | ${line}`.trimEnd())
  }

  /** One line said on the way; nothing with `--json` or `--quiet`. */
  say(text: string, style?: Style): void {
    if (this.mode.json || this.mode.quiet) return
    this.#write(`${this.#paint(escapeControl(text), style, this.stderr)}\n`, true)
  }

  /** One line that is said whatever was asked for. */
  alarm(text: string, style?: Style): void {
    this.#write(`${this.#paint(escapeControl(text), style, this.stderr)}\n`, true)
  }

  /** One JSON record on a line of its own; nothing without `--json`. */
  record(record: Readonly<Record<string, unknown>>): void {
    if (this.mode.json) this.stdout.write(`${JSON.stringify(record)}\n`)
  }

  /** Hands on bytes or filtered text of an app or a file, and waits for slow readers. */
  async pass(stream: 'stdout' | 'stderr', chunk: Uint8Array | string): Promise<void> {
    if (chunk.length === 0) return
    await new Promise<void>((resolve, reject) => {
      this[stream].write(chunk, error => (error ? reject(error) : resolve()))
    })
  }

  /** A filter when `stream` is a terminal, else null. */
  filterFor(stream: 'stdout' | 'stderr'): TerminalFilter | null {
    return this[stream].isTTY ? new TerminalFilter() : null
  }

  /** While a live area is drawn, lines go above it by `above`; null when it is gone. */
  redirect(above: ((text: string) => void) | null): void {
    this.#above = above
  }

  #write(text: string, error: boolean): void {
    if (this.#above) this.#above(text)
    else (error ? this.stderr : this.stdout).write(text)
  }

  #paint(text: string, style: Style | undefined, sink: Sink): string {
    return style && this.#colors && sink.isTTY ? `\x1b[${SGR[style]}m${text}\x1b[0m` : text
  }
}
