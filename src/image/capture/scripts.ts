/** What a script says about what it needs. */
export interface Shebang {
  /** Absolute path. */
  readonly interpreter: string
  /** The program that `env` is to find; null when the interpreter is not `env`. */
  readonly program: string | null
}

/** The `#!` line of a file, or null when it has none. */
export function readShebang(head: Buffer): Shebang | null {
  const line = /^#! *([^\n]*)/.exec(head.toString('latin1'))?.[1]
  const [interpreter, ...args] = line?.trim().split(/[ \t]+/) ?? []
  if (!interpreter?.startsWith('/')) return null
  if (!interpreter.endsWith('/env')) return { interpreter, program: null }
  const program = args.find(arg => !arg.startsWith('-') && !arg.includes('='))
  return { interpreter, program: program ?? null }
}

const SHELL = /(^|\/)(sh|bash|dash|ash|ksh|zsh|busybox)$/
const STARTS = new Set([
  'exec',
  'then',
  'do',
  'else',
  'if',
  'while',
  'until',
  'elif',
  '!',
  'command',
  '{',
])
const MAX_SCRIPT_BYTES = 1 << 20

export function isShell(interpreter: string): boolean {
  return SHELL.test(interpreter)
}

/**
 * Words of a shell script that stand where a command stands. Best effort: what it builds from variables is not seen,
 * and words of a here-document may be in it; the caller keeps only names of programs.
 */
export function commandWords(script: string): Set<string> {
  const words = new Set<string>()
  for (const line of script.slice(0, MAX_SCRIPT_BYTES).split('\n')) {
    const code = line.replace(/(^|\s)#.*$/, '')
    for (const piece of code.split(/\|\||&&|[|;&()`]|\$\(/)) {
      for (const word of piece.trim().split(/\s+/)) {
        if (/^[A-Za-z_][A-Za-z0-9_]*=/.test(word) || STARTS.has(word)) continue
        if (/^[A-Za-z0-9_/][A-Za-z0-9_.+/-]*$/.test(word)) words.add(word)
        break
      }
    }
  }
  return words
}
