interface Frame {
  /** What ends it; empty for the script itself. */
  readonly end: ')' | '`' | ''
  text: string
  /** Within double quotes. */
  quoted: boolean
}

/** Stands for what is not read: quoted text, variables, results of substitutions. No command is named so. */
const UNREAD = '?'

/**
 * The code of a shell script as far as it can be read without running it: the script, and each command substitution in
 * it, apart. Comments and here-documents are taken out, lines that go on are joined, and quoted text and variables
 * are a "?". Best effort, linear in the length, and never throws.
 */
export function shellCode(script: string): string[] {
  const done: string[] = []
  const frames: Frame[] = [{ end: '', text: '', quoted: false }]
  const documents: string[] = []
  let at = 0
  while (at < script.length) {
    const frame = frames.at(-1)!
    const char = script[at]!
    const add = (text: string, length: number) => {
      frame.text += text
      at += length
    }
    const skipPast = (end: string, from: number) => {
      const found = script.indexOf(end, from)
      add(UNREAD, (found < 0 ? script.length : found + end.length) - at)
    }
    if (char === '\\') add(script[at + 1] === '\n' ? ' ' : frame.quoted ? '' : UNREAD, 2)
    else if (char === '"') {
      frame.quoted = !frame.quoted
      add(frame.quoted ? UNREAD : '', 1)
    } else if (char === frame.end && !frame.quoted) {
      done.push(frames.pop()!.text)
      at++
      if (!frames.at(-1)!.quoted) frames.at(-1)!.text += UNREAD
    } else if (script.startsWith('$((', at)) skipPast('))', at)
    else if (script.startsWith('$(', at) || char === '`') {
      frames.push({ end: char === '`' ? '`' : ')', text: '', quoted: false })
      at += char === '`' ? 1 : 2
    } else if (script.startsWith('${', at)) skipPast('}', at)
    else if (frame.quoted) at++
    else if (char === "'") skipPast("'", at + 1)
    else if (script.startsWith('((', at)) skipPast('))', at)
    else if (char === '#' && /^$|[\s;&|(]/.test(frame.text.slice(-1))) at += lineLength(script, at)
    else if (script.startsWith('<<<', at)) add(UNREAD, 3)
    else if (script.startsWith('<<', at)) {
      const [all, , end] = /^<<-?[ \t]*(['"\\]?)([\w.-]+)\1?/.exec(script.slice(at, at + 300)) ?? []
      if (end !== undefined) documents.push(end)
      add(UNREAD, all?.length ?? 2)
    } else if (char === '\n') {
      add('\n', 1)
      for (const end of documents.splice(0)) at = afterDocument(script, at, end)
    } else add(char, 1)
  }
  return [...done, ...frames.map(frame => frame.text)]
}

function lineLength(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return (end < 0 ? text.length : end) - at
}

function afterDocument(script: string, from: number, end: string): number {
  for (let at = from; at < script.length; ) {
    const length = lineLength(script, at)
    if (script.slice(at, at + length).trim() === end) return at + length
    at += length + 1
  }
  return script.length
}
