import { shellCode } from './shell-code.ts'

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
/** Programs that start the one named behind them. */
const WRAPPERS = new Set([
  'env',
  'ionice',
  'nice',
  'nohup',
  'parallel',
  'setsid',
  'stdbuf',
  'time',
  'timeout',
  'xargs',
])
const MAX_SCRIPT_BYTES = 1 << 20

export function isShell(interpreter: string): boolean {
  return SHELL.test(interpreter)
}

/** Words of a shell script that seem to name commands. */
export interface CommandWords {
  /** Where a command stands: some are the shell's own. */
  readonly called: ReadonlySet<string>
  /** Behind `xargs`, `env` and their like, and behind `find -exec`: these are programs. */
  readonly started: ReadonlySet<string>
}

/** Best effort: what a script builds from variables is not seen; the caller keeps only names of programs. */
export function commandWords(script: string): CommandWords {
  const called = new Set<string>()
  const started = new Set<string>()
  for (const code of shellCode(script.slice(0, MAX_SCRIPT_BYTES)))
    for (const piece of code.split(/[\n|;&()]/)) {
      const all = piece.trim().split(/\s+/)
      const first = all.findIndex(word => !isAssignment(word) && !STARTS.has(word))
      if (first < 0) continue
      const behind = all.slice(first + 1)
      const own = WRAPPERS.has(all[first]!)
        ? behind.filter(word => /^[A-Za-z_./]/.test(word) && !isAssignment(word)).slice(0, 1)
        : behind.filter((_, i) => /^-(exec|execdir|ok|okdir)$/.test(behind[i - 1] ?? ''))
      if (isPlain(all[first]!)) called.add(all[first]!)
      for (const word of own) if (isPlain(word)) started.add(word)
    }
  return { called, started }
}

const isPlain = (word: string) => /^[A-Za-z0-9_./][A-Za-z0-9_.+/-]*$/.test(word)

const isAssignment = (word: string) => /^[A-Za-z_][A-Za-z0-9_]*\+?=/.test(word)
