import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { recogniseLicense } from '../core/spdx.ts'
import { type CitationFacts, readCitation } from './init-citation.ts'
import { type Entry, findEntry, isScript, languagesOf } from './init-entry.ts'
import { hostPrograms } from './init-programs.ts'
import { findSecrets } from './secrets.ts'
import { walkTree } from './walk.ts'

/** What lies in a folder that is to become a bundle. */
export interface Survey {
  readonly title: string | null
  readonly citation: CitationFacts | null
  readonly citationFile: string | null
  /** SPDX, from the licence file. */
  readonly license: string | null
  readonly languages: readonly string[]
  readonly entry: Entry | null
  readonly otherScripts: readonly string[]
  /** Image files that can be named by `source:`. */
  readonly imageFiles: readonly string[]
  /** Files an image can be built from, the likeliest first. */
  readonly recipes: readonly string[]
  /** Programs of this host that the entry and the scripts call, for a `host:` image; null when one cannot do. */
  readonly programs: readonly string[] | null
  readonly dataFolders: readonly string[]
  readonly out: string
  /** Things that should stay out, with the reason. */
  readonly exclude: readonly { readonly pattern: string; readonly why: string }[]
}

const JUNK = [
  '.DS_Store',
  '__pycache__',
  '.ipynb_checkpoints',
  '.pytest_cache',
  '.venv',
  'venv',
  'node_modules',
  '.Rproj.user',
  '.Rhistory',
  '.RData',
  '.snakemake',
  '.nextflow',
  '.cache',
  '.idea',
  '.vscode',
]
const MAX_READ_BYTES = 1 << 20

/** Looks at a folder; reads titles, licences and shell scripts, and nothing large. */
export async function surveyFolder(root: string, signal?: AbortSignal): Promise<Survey> {
  const tree = await walkTree(root, { exclude: JUNK, outs: [], imageSources: [], signal })
  const paths = tree.files.map(file => file.path)
  const pick = (form: RegExp) => paths.find(path => form.test(path))
  const read = async (path: string | undefined) => (path ? await readHead(join(root, path)) : null)
  const citationFile = pick(/^citation\.cff$/i) ?? null
  const citationText = await read(citationFile ?? undefined)
  const licenseText = await read(pick(/^(licen[cs]e|copying)([.-][^/]*)?$/i))
  const entry = await findEntry(paths, read)
  const secrets = await findSecrets(tree.files, [], { signal })
  const junk = await presentJunk(root, signal)
  const top = [...new Set(paths.flatMap(path => path.split('/').slice(0, -1)[0] ?? []))]
  return {
    title: readTitle((await read(pick(/^readme(\.(md|rst|txt))?$/i))) ?? ''),
    citation: citationText === null ? null : readCitation(citationText),
    citationFile,
    license: licenseText === null ? null : recogniseLicense(licenseText),
    languages: languagesOf(paths),
    entry,
    otherScripts: paths
      .filter(path => path !== entry?.path && isScript(path) && path.split('/').length <= 2)
      .slice(0, 8),
    imageFiles: paths.filter(path =>
      /(^images?\/[^/]+|\.(oci|docker|image|rootfs))\.tar(\.gz)?$/i.test(path),
    ),
    recipes: RECIPES.flatMap(form => paths.filter(path => form.test(path))),
    programs: entry && (await hostPrograms(paths, entry, read)),
    dataFolders: top.filter(folder =>
      /^(data|input|inputs|raw|reference|refs?|resources)$/i.test(folder),
    ),
    out: ['out', 'output', 'outputs', 'results'].find(folder => top.includes(folder)) ?? 'out',
    exclude: [
      ...junk.map(pattern => ({ pattern, why: 'made by tools, of no use to readers' })),
      ...secrets.map(({ file }) => ({ pattern: file!, why: 'looks like a secret' })),
    ],
  }
}

const RECIPES = [
  /^(.*\/)?(Dockerfile|Containerfile)$/,
  /^(.*\/)?([^/]+\.def|Singularity)$/,
  /^(.*\/)?environment\.ya?ml$/,
  /^(.*\/)?requirements\.txt$/,
  /^(.*\/)?renv\.lock$/,
]

/** Of the folders and files that tools leave behind, those that are here. */
async function presentJunk(root: string, signal?: AbortSignal): Promise<string[]> {
  const tree = await walkTree(root, {
    exclude: ['node_modules/*/**', '.venv/*/**', 'venv/*/**'],
    outs: [],
    imageSources: [],
    signal,
  })
  const parts = new Set(
    [...tree.files.map(file => file.path), ...tree.emptyFolders].flatMap(path => path.split('/')),
  )
  return JUNK.filter(name => parts.has(name))
}

/** The title of a README: its first heading, in Markdown or reStructuredText. */
export function readTitle(text: string): string | null {
  const lines = text.slice(0, 20_000).split('\n')
  for (const [i, raw] of lines.entries()) {
    const line = raw.trim()
    const heading = /^#\s+(.+?)\s*#*$/.exec(line)?.[1]
    const underlined = /^(=|-|~){3,}$/.test(lines[i + 1]?.trim() ?? '') && /\w/.test(line)
    const title = heading ?? (underlined ? line : null)
    if (title) return title.replace(/[*_`]|!?\[([^\]]*)\]\([^)]*\)/g, '$1').trim() || null
  }
  return null
}

async function readHead(path: string): Promise<string | null> {
  const handle = await open(path, 'r').catch(() => null)
  if (!handle) return null
  try {
    const buffer = Buffer.alloc(MAX_READ_BYTES)
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}
