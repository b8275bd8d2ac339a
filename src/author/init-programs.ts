import { posix } from 'node:path'
import { commandWords, isShell } from '../image/capture/scripts.ts'
import { which } from '../system/which.ts'
import { type Entry, isCapturable, type ReadFile, startOf } from './init-entry.ts'

const MAX_SCRIPTS = 50
const MAX_PROGRAMS = 60

/** What a shell does by itself, though some are programs as well. */
const BUILTINS = new Set(
  (
    'alias bg break builtin case cd command compgen continue coproc declare dirs disown do done echo elif else enable ' +
    'esac eval exec exit export false fc fg fi for function getopts hash help history if in jobs kill let local ' +
    'logout mapfile popd printf pushd pwd read readarray readonly return select set shift shopt source suspend test ' +
    'then time times trap true type typeset ulimit umask unalias unset until wait while'
  ).split(' '),
)
/** Of no use in an image, or nothing a run may do. */
const UNFIT =
  /^(apptainer|apt|apt-get|brew|conda|dnf|docker|mamba|micromamba|mount|pip[\d.]*|podman|salloc|sbatch|scp|singularity|srun|ssh|su|sudo|systemctl|umount|yum)$/

/**
 * The programs of this host that an entry and the shell scripts of its folder call, for a `host:` image, the entry's
 * interpreter first. Null when the entry's interpreter is not here, or cannot be captured with all it needs.
 */
export async function hostPrograms(
  paths: readonly string[],
  entry: Entry,
  read: ReadFile,
): Promise<string[] | null> {
  const [interpreter = ''] = entry.command
  if (!isCapturable(interpreter) || !(await which(interpreter))) return null
  const there = new Set(paths)
  const found = new Set<string>()
  const seen = new Set<string>()
  const queue = [entry.path, ...paths.filter(path => /\.(sh|bash)$/.test(path))]
  for (const path of queue) {
    if (seen.has(path) || seen.size >= MAX_SCRIPTS) continue
    seen.add(path)
    const { called, started } = commandWords((await shellText(path, read)) ?? '')
    const commands = [...called].filter(word => !BUILTINS.has(word))
    for (const word of new Set([...commands, ...started])) {
      const own = posix.normalize(word)
      if (there.has(own)) {
        queue.push(own)
        const [program] = (await startOf(own, read)) ?? []
        if (program !== undefined && (await isFit(program))) found.add(program)
      } else if (!word.includes('/') && (await isFit(word))) found.add(word)
    }
  }
  found.delete(interpreter)
  return [interpreter, ...[...found].sort().slice(0, MAX_PROGRAMS)]
}

async function isFit(word: string): Promise<boolean> {
  if (UNFIT.test(word) || !/^[A-Za-z0-9]/.test(word)) return false
  return (await which(word)) !== null
}

/** What of a file a shell executes: all of a shell script, the recipes of a Makefile; null for anything else. */
async function shellText(path: string, read: ReadFile): Promise<string | null> {
  const text = await read(path)
  if (text === null || text.includes('\0')) return null
  if (/(^|\/)Makefile$/.test(path))
    return text
      .split('\n')
      .flatMap(line => (line.startsWith('\t') ? line.replace(/^[\s@+-]+/, '') : []))
      .join('\n')
  const [program = ''] = (await startOf(path, read)) ?? []
  return isShell(program) ? text : null
}
