import { basename } from 'node:path'
import { readShebang } from '../image/capture/scripts.ts'
import { which } from '../system/which.ts'

/** The script that seems to do everything, and how it is started. */
export interface Entry {
  readonly path: string
  readonly command: readonly string[]
}

/** Gives the beginning of a file of the folder; null when it cannot be read. */
export type ReadFile = (path: string) => Promise<string | null>

const LANGUAGES: readonly (readonly [form: RegExp, name: string, start: readonly string[]])[] = [
  [/\.(sh|bash)$/, 'shell', ['bash']],
  [/\.py$/, 'Python', ['python3']],
  [/\.[rR]$/, 'R', ['Rscript']],
  [/\.jl$/, 'Julia', ['julia']],
  [/\.pl$/, 'Perl', ['perl']],
  [/\.awk$/, 'awk', ['awk', '-f']],
  [/\.m$/, 'MATLAB or Octave', ['octave']],
  [/\.do$/, 'Stata', ['stata', '-b', 'do']],
  [/\.(ipynb|Rmd|qmd)$/, 'notebooks', []],
  [/\.(c|cc|cpp|f90|f|rs|go|java)$/, 'a compiled language', []],
]
/** Interpreters that can be captured from a host with all they need, one family a line. */
const CAPTURABLE = [
  /^(ba|da|k|z)?sh$/,
  /^[gmn]?awk$/,
  /^python[\d.]*$/,
  /^perl[\d.]*$/,
  /^Rscript$/,
  /^make$/,
]
const ENTRY_NAMES = [
  'run_all',
  'run-all',
  'runall',
  'reproduce',
  'run',
  'main',
  'pipeline',
  'workflow',
  'analysis',
  'analyse',
  'analyze',
  'all',
]
const ENTRY_FOLDERS = ['', 'code/', 'scripts/', 'script/', 'src/', 'bin/', 'analysis/']
const EXTENSIONS = ['.sh', '.bash', '.py', '.R', '.r', '.jl', '.pl', '.awk', '.m', '.do']
const WORKFLOWS: readonly Entry[] = [
  { path: 'Makefile', command: ['make'] },
  { path: 'Snakefile', command: ['snakemake', '--cores', 'all'] },
  { path: 'workflow/Snakefile', command: ['snakemake', '--cores', 'all'] },
]

/** Finds the entry by its name, then by what workflow tools read, then as the only script there is. */
export async function findEntry(paths: readonly string[], read: ReadFile): Promise<Entry | null> {
  const there = new Set(paths)
  const likely = ENTRY_FOLDERS.flatMap(folder => ENTRY_NAMES.map(name => `${folder}${name}`))
  for (const stem of likely)
    for (const path of EXTENSIONS.map(extension => `${stem}${extension}`))
      if (there.has(path)) return { path, command: (await startOf(path, read))! }
  for (const path of likely) {
    const command = there.has(path) ? await startOf(path, read) : null
    if (command) return { path, command }
  }
  const workflow = WORKFLOWS.find(({ path }) => there.has(path))
  if (workflow) return workflow
  const [only, another] = paths.filter(isScript)
  return only !== undefined && another === undefined
    ? { path: only, command: (await startOf(only, read))! }
    : null
}

/** True for a file that its name says how to start. */
export function isScript(path: string): boolean {
  return (languageOf(path)?.[2].length ?? 0) > 0
}

/** What the folder is written in, the most used first. */
export function languagesOf(paths: readonly string[]): string[] {
  return LANGUAGES.map(([form, name]) => ({
    name,
    n: paths.filter(path => form.test(path)).length,
  }))
    .filter(({ n }) => n > 0)
    .sort((a, b) => b.n - a.n)
    .map(({ name }) => name)
}

/** How a script is started: by what its `#!` line names, where that is here and fits its name, else by its name. */
export async function startOf(path: string, read: ReadFile): Promise<string[] | null> {
  const usual = languageOf(path)?.[2] ?? []
  const said = readShebang(Buffer.from((await read(path)) ?? ''))
  const program = said && basename(said.program ?? said.interpreter)
  const family = program === null ? undefined : CAPTURABLE.find(form => form.test(program))
  const [first, ...rest] = usual
  if (program && family && (first === undefined || family.test(first)) && (await which(program)))
    return [program, ...(/awk$/.test(program) ? ['-f'] : rest), path]
  if (first === undefined) return null
  return first === 'bash' && !(await which('bash')) ? ['sh', path] : [first, ...rest, path]
}

/** True for an interpreter that a `host:` image holds with all that it needs to run a script. */
export function isCapturable(program: string): boolean {
  return CAPTURABLE.some(form => form.test(program))
}

function languageOf(path: string) {
  return LANGUAGES.find(([form]) => form.test(path))
}
