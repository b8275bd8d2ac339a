import { lstat, readdir } from 'node:fs/promises'
import { formatBytes } from '../../core/text.ts'
import { homeFolder } from '../../system/user.ts'
import type { SourceImage } from '../formats/source-image.ts'
import { type TarItem, writeTar } from '../tar/tar-writer.ts'
import { HostFiles } from './host-files.ts'
import { ProgramCapture } from './program-capture.ts'

/** Links at the root that the loader, scripts and PATH rely on. */
const ROOT_LINKS = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32']
const LOCALES = ['/usr/lib/locale/C.utf8', '/usr/lib/locale/C.UTF-8']
const TEXTS: Readonly<Record<string, string>> = {
  '/etc/passwd':
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  '/etc/group': 'root:x:0:\nnogroup:x:65534:\n',
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files\n',
}
const LARGE_BYTES = 500_000_000

export interface HostCapture {
  readonly image: SourceImage
  /** What the author should know, one sentence each. */
  readonly notes: readonly string[]
}

/**
 * Captures programs of this host, with what the dynamic loader, their `#!` lines and their interpreters say they need.
 * The same host gives the same bytes. Needs no root. Executes loaders and interpreters of this host, and nothing of
 * `folder`, where the manifest lies. Throws PROGRAM_MISSING, IMAGE_SOURCE.
 */
export async function captureHost(
  programs: readonly string[],
  folder: string,
  signal?: AbortSignal,
): Promise<HostCapture> {
  const files = new HostFiles()
  for (const path of ROOT_LINKS)
    if ((await lstat(path).catch(() => null))?.isSymbolicLink()) await files.add(path)
  const capture = new ProgramCapture(files, { folder, path: process.env['PATH'] ?? '' }, signal)
  for (const program of programs) await capture.addAsked(program)
  // What programs start by system() and popen(), awk's pipes among them.
  await capture.addShell()
  for (const path of LOCALES)
    if ((await readdir(path).catch(() => [])).length > 0) await files.addTree(path, () => true)
  for (const [path, text] of Object.entries(TEXTS)) files.addText(path, text)
  files.addFolder('/tmp', 0o1777)
  const items = files.items()
  return {
    image: toImage(items, signal),
    notes: [...new Set([...capture.notes, ...notesOn(items)])],
  }
}

function toImage(items: readonly TarItem[], signal: AbortSignal | undefined): SourceImage {
  return {
    kind: 'host',
    digest: null,
    config: null,
    layers: [{ name: 'host', stored: null, open: () => writeTar(items, signal) }],
    chosen: null,
    close: async () => undefined,
  }
}

function notesOn(items: readonly TarItem[]): string[] {
  const notes: string[] = []
  const bytes = items.reduce((sum, item) => sum + (item.size ?? 0), 0)
  if (bytes > LARGE_BYTES)
    notes.push(`the captured programs are ${formatBytes(bytes)}: an image by podman may be smaller`)
  const home = `${(homeFolder() ?? '/').slice(1)}/`
  if (home !== '/' && items.some(item => item.path.startsWith(home)))
    notes.push('some captured files lie in your home folder: its path will be seen in the image')
  return notes
}
