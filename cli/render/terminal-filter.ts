/**
 * Makes a stranger's output harmless for a terminal while it streams: text, line ends, tabs, carriage returns,
 * backspaces and colours pass; every other escape sequence and control character is dropped
 * (cursor moves, titles, clipboard, queries, C1 controls, bidirectional overrides).
 */
export class TerminalFilter {
  readonly #decoder = new TextDecoder('utf-8')
  #state: 'text' | 'escape' | 'intermediate' | 'csi' | 'string' | 'string-escape' = 'text'
  #sequence = ''
  #colored = false

  /** What of `chunk` may be shown now; an unfinished sequence waits for the next chunk. */
  push(chunk: Uint8Array): string {
    return this.#filter(this.#decoder.decode(chunk, { stream: true }))
  }

  /** The rest, at the end of the stream. Colours are set back when any were let through. */
  end(): string {
    const rest = this.#filter(this.#decoder.decode())
    return this.#colored ? `${rest}\x1b[0m` : rest
  }

  #filter(text: string): string {
    let out = ''
    for (const ch of text) out += this.#step(ch)
    return out
  }

  #step(ch: string): string {
    const code = ch.codePointAt(0)!
    switch (this.#state) {
      case 'text':
        if (code === 0x1b) this.#state = 'escape'
        else if (code === 0x9b) this.#begin('csi')
        else if (code === 0x90 || code === 0x98 || (code >= 0x9d && code <= 0x9f))
          this.#begin('string')
        else if (isPlain(code)) return ch
        return ''
      case 'escape':
        if (ch === '[') this.#begin('csi')
        else if (']P_^X'.includes(ch)) this.#begin('string')
        else if (code >= 0x20 && code <= 0x2f) this.#state = 'intermediate'
        else if (code !== 0x1b) this.#state = 'text'
        return ''
      case 'intermediate':
        if (code < 0x20 || code > 0x2f) this.#state = 'text'
        return ''
      case 'csi':
        return this.#stepCsi(ch, code)
      case 'string':
        if (code === 0x07 || code === 0x9c) this.#state = 'text'
        else if (code === 0x1b) this.#state = 'string-escape'
        return ''
      case 'string-escape':
        if (ch === '\\') this.#state = 'text'
        else if (code !== 0x1b) this.#state = 'string'
        return ''
    }
  }

  #begin(state: 'csi' | 'string'): void {
    this.#state = state
    this.#sequence = ''
  }

  #stepCsi(ch: string, code: number): string {
    if (code === 0x1b) {
      this.#state = 'escape'
      return ''
    }
    if (code >= 0x40 && code <= 0x7e) {
      this.#state = 'text'
      if (ch !== 'm' || !/^[0-9;:]{0,64}$/.test(this.#sequence)) return ''
      this.#colored = true
      return `\x1b[${this.#sequence}m`
    }
    if (this.#sequence.length <= 64) this.#sequence += ch
    return ''
  }
}

function isPlain(code: number): boolean {
  if (code < 0x20) return code === 0x0a || code === 0x09 || code === 0x0d || code === 0x08
  if (code >= 0x7f && code <= 0x9f) return false
  const hidden =
    code === 0x200e ||
    code === 0x200f ||
    (code >= 0x2028 && code <= 0x202e) ||
    (code >= 0x2066 && code <= 0x2069)
  return !hidden
}
