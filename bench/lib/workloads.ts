import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { randomBytesOf, Seeded } from './seeded.ts'
import { type TextKind, TextSource } from './text-source.ts'

/** A folder to publish, made from a seed alone. */
export interface Workload {
  readonly folder: string
  readonly files: number
  readonly bytes: number
  /** How it was made, for who reads the results. */
  readonly recipe: string
}

const MIB = 1 << 20
const MANIFEST = 'repro: 1\nname: bench\nlicense: MIT\n'

/** One file of bytes that do not compress. */
export function bigFile(folder: string, bytes: number): Workload {
  start(folder)
  const next = randomBytesOf('big')
  const file = openSync(join(folder, 'data.bin'), 'w')
  for (let left = bytes; left > 0; left -= 8 * MIB) writeSync(file, next(Math.min(left, 8 * MIB)))
  closeSync(file)
  return { folder, files: 1, bytes, recipe: 'one file of random bytes (AES-CTR key stream)' }
}

/** Inserts 1 KiB before everything else; the file is written anew and renamed, as editors do. */
export function insertAtFront({ folder }: Workload, round: number): void {
  const path = join(folder, 'data.bin')
  const from = openSync(path, 'r')
  const to = openSync(`${path}.new`, 'w')
  writeSync(to, randomBytesOf(`insert ${round}`)(1024))
  const buffer = Buffer.allocUnsafe(8 * MIB)
  for (let read = 1; read > 0; ) {
    read = readSync(from, buffer)
    writeSync(to, buffer, 0, read)
  }
  closeSync(from)
  closeSync(to)
  renameSync(`${path}.new`, path)
}

const KINDS = ['py', 'py', 'py', 'py', 'py', 'rst', 'md', 'txt', 'csv', 'png'] as const
const MEAN_BYTES = 13_500
const FILES_PER_FOLDER = 13.3

/** Small files as in documentation and Python trees. */
export function smallFiles(folder: string, files: number): Workload {
  start(folder)
  const random = new Seeded(`tree ${files}`)
  const text = new TextSource('tree')
  const binary = randomBytesOf('tree')
  const folders = folderTree(random, text, Math.ceil(files / FILES_PER_FOLDER))
  for (const path of folders) mkdirSync(join(folder, path), { recursive: true })
  let bytes = 0
  for (let i = 0; i < files; i++) {
    const kind = random.pick(KINDS)
    const size = Math.round(Math.min(4 * MIB, Math.max(16, random.logNormal(MEAN_BYTES, 1.5))))
    const content = kind === 'png' ? binary(size) : text.text(textKind(kind), size)
    writeFileSync(join(folder, random.pick(folders), `${text.word()}_${i}.${kind}`), content)
    bytes += size
  }
  const recipe = `${files} files in ${folders.length} folders up to 8 deep; sizes log-normal (mean 13.5 kB, sigma 1.5); half Python-like text, the rest prose, tables, and a tenth that does not compress`
  return { folder, files, bytes, recipe }
}

/** The folders of a tree, each below one of those before it. */
function folderTree(random: Seeded, text: TextSource, count: number): string[] {
  const folders = ['src', 'docs']
  while (folders.length < count) {
    const parent = random.pick(folders)
    if (parent.split('/').length < 8) folders.push(`${parent}/${text.word()}${folders.length}`)
  }
  return folders
}

function textKind(extension: (typeof KINDS)[number]): TextKind {
  if (extension === 'py') return 'python'
  return extension === 'csv' ? 'numbers' : 'prose'
}

/** Changes `count` files, others in each round: three of four get a line inserted and one replaced, one is written anew. */
export function changeFiles(paths: readonly string[], count: number, round: number): void {
  const random = new Seeded(`change ${round}`)
  const text = new TextSource(`change ${round}`)
  const chosen = new Set<string>()
  while (chosen.size < Math.min(count, paths.length)) chosen.add(random.pick(paths))
  let nth = 0
  for (const path of chosen) {
    const old = readFileSync(path)
    if (nth++ % 4 === 3) writeFileSync(path, text.text('python', old.length))
    else {
      const at = old.indexOf(10, random.below(old.length)) + 1
      const end = old.indexOf(10, at) + 1
      const line = text.freshLine('python')
      writeFileSync(path, Buffer.concat([old.subarray(0, at), line, line, old.subarray(end || at)]))
    }
  }
}

/** What an unpacked image of a scientific environment looks like, of about `bytes`. */
export function imageTree(folder: string, bytes: number): Workload {
  start(folder)
  const random = new Seeded('image')
  const text = new TextSource('image')
  const noise = randomBytesOf('image')
  const unit = bytes / (2048 * MIB)
  const many = (count: number) => Math.max(1, Math.round(count * unit))
  let total = 0
  let files = 0
  const write = (path: string, content: Buffer, mode = 0o644) => {
    const full = join(folder, path)
    mkdirSync(dirname(full), { recursive: true })
    writeFileSync(full, content, { mode })
    total += content.length
    files++
  }
  const library = () => binaryLike(random, noise, text, random.logNormal(400 << 10, 1.3))
  for (let i = 0; i < 3; i++)
    write(`opt/model/weights-${i}.bin`, noise(Math.round(256 * MIB * unit)))
  for (let i = 0; i < 8; i++)
    write(`opt/env/lib/libbig${i}.so`, binaryLike(random, noise, text, 40 * MIB * unit), 0o755)
  for (let i = 0; i < many(1500); i++) {
    const content = library()
    write(`usr/lib/lib${text.word()}${i}.so.1`, content, 0o755)
    symlinkSync(`lib${i}.so.1`, join(folder, `usr/lib/lib${i}.so`))
    if (i % 10 === 0) write(`opt/env/lib/copy${i}.so.1`, content, 0o755)
  }
  for (let i = 0; i < many(800); i++)
    write(
      `usr/bin/${text.word()}${i}`,
      binaryLike(random, noise, text, random.logNormal(200 << 10, 1.2)),
      0o755,
    )
  for (let i = 0; i < many(6000); i++)
    write(
      `usr/lib/python3/module${i % 400}/${text.word()}${i}.py`,
      text.text('python', Math.max(16, Math.round(random.logNormal(MEAN_BYTES, 1.4)))),
    )
  for (let i = 0; i < many(1500); i++)
    write(`usr/share/doc/${text.word()}${i}/changelog.gz`, noise(200 + random.below(8000)))
  const recipe =
    'libraries and programs of code-like bytes (log-normal), a tenth of the libraries twice, links, Python text, small compressed files, 8 large libraries and 3 large random files'
  return { folder, files, bytes: total, recipe }
}

/** As in machine code: a third noise, a third few-valued bytes, then text and zeros. */
function binaryLike(
  random: Seeded,
  noise: (length: number) => Buffer,
  text: TextSource,
  size: number,
): Buffer {
  const all = Buffer.alloc(Math.max(64, Math.round(size)))
  for (let at = 0; at < all.length; ) {
    const length = Math.min(all.length - at, 512 + random.below(32 << 10))
    const kind = random.float()
    if (kind < 0.35) noise(length).copy(all, at)
    else if (kind < 0.7) {
      noise(length).copy(all, at)
      for (let i = at; i < at + length; i++) all[i] = all[i]! & 0x1b
    } else if (kind < 0.85) text.text('prose', length).copy(all, at)
    at += length
  }
  return all
}

function start(folder: string): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'repro.yaml'), MANIFEST)
}
