import { open } from 'node:fs/promises'
import { parallel } from '../system/parallel.ts'
import type { AuthorRemark } from './faults.ts'
import type { TreeFile } from './walk.ts'

const SCRIPT =
  /\.(sh|bash|zsh|csh|fish|awk|py|pyx|ipynb|r|rmd|qmd|jl|pl|pm|rb|m|sas|do|lua|js|mjs|ts|nf|smk|wdl|cwl|slurm|sbatch|pbs|mk|cfg|ini|toml|yml|yaml|json|c|cc|cpp|f90)$/i
const SCRIPT_NAME = /(^|\/)(Makefile|Snakefile|Dockerfile|Containerfile|Rakefile)$/
const MAX_SCANNED_BYTES = 1 << 20
const MAX_PER_FILE = 5

/** Paths of one person's machine; `/usr`, `/bin`, `/etc`, `/dev`, `/proc` belong to every image. */
const ABSOLUTE =
  /(?<![\w.:/\\~$}-])(\/(?:home|Users|root|mnt|media|scratch|data|work|gpfs|lustre|tmp|var\/tmp|u|nfs)\/[\w.@+-]+[^\s"'`,;:)\]}>|]{0,100}|[A-Za-z]:\\{1,2}[\w.@+-]+[^\s"'`,;)\]}>|]{0,100})/

/** Whether a path is that of a script or a description of work: what a reviewer reads for hard-coded paths. */
function isScript(path: string): boolean {
  return SCRIPT.test(path) || SCRIPT_NAME.test(path)
}

/** Absolute paths of the author's machine in scripts, and versions left open in lists of dependencies. */
export async function scriptRemarks(
  files: readonly TreeFile[],
  signal?: AbortSignal,
): Promise<AuthorRemark[]> {
  const remarks: AuthorRemark[] = []
  const scripts = files.filter(
    file =>
      file.size <= MAX_SCANNED_BYTES &&
      file.path !== 'repro.yaml' &&
      (isScript(file.path) || unpinnedRule(file.path) !== null),
  )
  for await (const found of parallel(scripts, 8, file => scan(file, signal))) remarks.push(...found)
  return remarks.sort((a, b) =>
    a.file! < b.file! ? -1 : a.file! > b.file! ? 1 : a.line! - b.line!,
  )
}

async function scan(file: TreeFile, signal?: AbortSignal): Promise<AuthorRemark[]> {
  signal?.throwIfAborted()
  const handle = await open(file.absolute, 'r').catch(() => null)
  if (!handle) return []
  const text = await handle.readFile('utf8').finally(() => handle.close())
  if (text.includes('\0')) return []
  const rule = unpinnedRule(file.path)
  const remarks: AuthorRemark[] = []
  for (const [i, whole] of text.split('\n').entries()) {
    const line = whole.slice(0, 2000)
    const place = { file: file.path, line: i + 1 }
    const absolute = isScript(file.path) ? ABSOLUTE.exec(line) : null
    if (absolute && !line.startsWith('#!')) {
      const message = `the absolute path ${absolute[1]} is one of your machine`
      const hints = ['use paths relative to the folder: they hold inside of every runtime']
      remarks.push({ ...place, column: absolute.index + 1, message, hints })
    }
    const open = rule?.(line.trim())
    if (open) remarks.push({ ...place, message: `${open} has no version`, hints: [PIN] })
    if (remarks.length < MAX_PER_FILE) continue
    remarks.push({ file: file.path, line: i + 1, message: 'and perhaps more below', hints: [] })
    break
  }
  return remarks
}

const PIN = 'name exact versions, so that the image can be built again'

/** What in a line of this file is left without a version. */
function unpinnedRule(path: string): ((line: string) => string | null) | null {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (/^requirements.*\.txt$/.test(name))
    return line => {
      const match = /^([A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?)\s*(.*?)\s*(?:[;#].*)?$/.exec(line)
      return match && !/^(===?|@)/.test(match[2]!) ? `"${match[1]}"` : null
    }
  if (/^environment\.ya?ml$/.test(name))
    return line => {
      const match = /^-\s+["']?([A-Za-z0-9][\w.:-]*)["']?\s*(?:#.*)?$/.exec(line)
      return match &&
        !['conda-forge', 'bioconda', 'defaults', 'r', 'nodefaults'].includes(match[1]!) &&
        !match[1]!.endsWith(':')
        ? `"${match[1]}"`
        : null
    }
  if (/^(Dockerfile|Containerfile)(\..*)?$|\.dockerfile$/i.test(name))
    return line => {
      const match = /^FROM\s+(?:--\S+\s+)*(\S+)/i.exec(line)
      const image = match?.[1]
      if (!image || image === 'scratch' || image.includes('@') || image.startsWith('$')) return null
      const tag = /:([\w][\w.-]*)$/.exec(image)?.[1]
      return tag === undefined || tag === 'latest' ? `the base image "${image}"` : null
    }
  return null
}
