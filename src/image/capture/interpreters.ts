import { basename } from 'node:path'
import { runCommand } from '../../system/process.ts'

/** An interpreter whose own library it can be asked for. */
interface Interpreter {
  readonly name: RegExp
  /** Prints the program itself on the first line, then one folder or file a line. */
  readonly ask: readonly string[]
  readonly keep: (name: string) => boolean
}

const KNOWN: readonly Interpreter[] = [
  {
    name: /^python(\d(\.\d+)*)?$/,
    ask: [
      '-I',
      '-c',
      'import sys; print(sys.executable); print("\\n".join(p for p in sys.path if p))',
    ],
    keep: name => !['__pycache__', 'test', 'tests', 'idlelib', 'turtledemo'].includes(name),
  },
  {
    name: /^perl(5[\d.]*)?$/,
    ask: ['-e', 'print "$^X\\n", join("\\n", grep { !ref && $_ ne "." } @INC), "\\n"'],
    keep: name => !name.endsWith('.pod'),
  },
  {
    name: /^(R|Rscript)$/,
    ask: [
      '--vanilla',
      '-e',
      'cat("", R.home(), .libPaths(), Sys.getenv(c("R_SHARE_DIR", "R_INCLUDE_DIR")), "/etc/R", sep="\\n")',
    ],
    keep: name => !['help', 'html', 'doc', 'tests', 'demo'].includes(name),
  },
]

/** Programs that are known to need files which nobody can list. */
const UNLISTED =
  /^(ruby|node|nodejs|julia|java|tclsh|wish|octave|lua|php|guile|ghc|gcc|cc|g\+\+|gfortran|cc1|emacs|vim|tex|latex|pdflatex|gnuplot|magick|convert|file|man|git|sage|matlab|mono|dotnet|Rgui|scala|erl|elixir|ocaml)[\d.-]*$/

const TIMEOUT_MS = 30_000

export interface OwnLibrary {
  /** The program that really runs, when it says so: what lies in PATH may be a shim. */
  readonly program: string | null
  readonly paths: readonly string[]
  readonly keep: (name: string) => boolean
}

/** What an interpreter reports of its own modules; null when `program` is none or does not answer. */
export async function ownLibrary(
  program: string,
  path: string,
  signal?: AbortSignal,
): Promise<OwnLibrary | null> {
  const known = KNOWN.find(({ name }) => name.test(basename(program)))
  if (!known) return null
  const result = await runCommand([program, ...known.ask], {
    env: { PATH: path, LC_ALL: 'C' },
    cwd: '/',
    timeoutMs: TIMEOUT_MS,
    ...(signal ? { signal } : {}),
  })
  signal?.throwIfAborted()
  if (result.code !== 0) return null
  const [own = '', ...paths] = result.stdout.split('\n')
  return {
    program: own.startsWith('/') ? own : null,
    paths: [...new Set(paths.filter(line => line.startsWith('/') && line !== '/'))],
    keep: known.keep,
  }
}

export function needsUnlistedFiles(program: string): boolean {
  return UNLISTED.test(basename(program))
}

export function isInterpreter(program: string): boolean {
  return KNOWN.some(({ name }) => name.test(basename(program)))
}
