import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/**
 * Imports point down only (design.md §5). A room may import itself and the rooms of lower levels;
 * rooms of one level never import each other.
 */
const LEVELS: readonly (readonly string[])[] = [
  ['schemas'],
  ['src/core'],
  ['src/system'],
  ['src/archive', 'src/image', 'src/runtime', 'src/cluster', 'src/provenance'],
  ['src/network'],
  ['src/author', 'src/host', 'src/run', 'src/mirror'],
  ['src/daemon'],
  ['src/index.ts'],
  ['cli'],
]
/** Rooms that may import only some of the rooms below them. */
const NARROWER: Readonly<Record<string, readonly string[]>> = {
  'src/network': ['schemas', 'src/core', 'src/system', 'src/archive'],
}
const HOLEPUNCH =
  /^(hyper[a-z-]*|corestore|@hyperswarm\/.*|b4a|compact-encoding|udx-native|protomux|streamx|mirror-drive|localdrive|sodium-.*|rocksdb-native)(\/|$)/
const SPAWNING = /^((node:)?child_process|execa|(node:)?cluster)$/

const root = resolve(new URL('.', import.meta.url).pathname, '..')
const IMPORT =
  /(?:^|[^.\w$])(?:import|export)\s*(?:type\s+)?(?:[\w$*{][^'"`;]*?\sfrom\s*)?["'`]([^"'`\n]+)["'`]|(?:^|[^.\w$])(?:import|require)\s*\(\s*["'`]([^"'`\n]+)["'`]/g

interface Import {
  readonly from: string
  readonly specifier: string
  readonly target: string | null
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap(name => {
    const path = join(folder, name)
    if (statSync(join(root, path)).isDirectory()) return sourceFiles(path)
    return /\.(ts|tsx|mjs)$/.test(name) && !name.endsWith('.d.ts') ? [path] : []
  })
}

function importsOf(file: string, text: string): Import[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  return [...code.matchAll(IMPORT)].map(match => {
    const specifier = match[1] ?? match[2]!
    const target = specifier.startsWith('.')
      ? relative(root, resolve(root, dirname(file), specifier))
      : null
    return { from: file, specifier, target }
  })
}

function roomOf(file: string): string {
  const room = LEVELS.flat().find(r => file === r || file.startsWith(`${r}/`))
  if (!room) throw new Error(`${file} lies in no room of design.md §5`)
  return room
}

const levelOf = (room: string) => LEVELS.findIndex(level => level.includes(room))

function fault({ from, target, specifier }: Import): string | null {
  const room = roomOf(from)
  if (target === null) {
    if (HOLEPUNCH.test(specifier) && room !== 'src/archive' && room !== 'src/network')
      return `${from} imports ${specifier}: only archive and network know Holepunch packages`
    if (SPAWNING.test(specifier) && room !== 'src/system')
      return `${from} imports ${specifier}: only system starts processes`
    return null
  }
  const other = roomOf(target)
  if (other === room) return null
  if (room === 'cli' && other === 'src/index.ts') return null
  const allowed = NARROWER[room]
  const down = levelOf(other) < levelOf(room) && (!allowed || allowed.includes(other))
  return down ? null : `${from} imports ${target}: ${room} may not import ${other}`
}

const files = [...sourceFiles('schemas'), ...sourceFiles('src'), ...sourceFiles('cli')]
const imports = files.flatMap(file => importsOf(file, readFileSync(join(root, file), 'utf8')))

describe('layers', () => {
  it('sees the sources', () => {
    expect(files.length).toBeGreaterThan(60)
    expect(imports.length).toBeGreaterThan(files.length)
  })

  it('lets imports point down only, and keeps Holepunch and processes in their rooms', () => {
    expect(imports.map(fault).filter(f => f !== null)).toEqual([])
  })

  it('has index files only at src and schemas', () => {
    expect(files.filter(file => /\/index\.tsx?$/.test(file))).toEqual([
      'schemas/index.ts',
      'src/index.ts',
    ])
  })

  it('has no cycle', () => {
    const graph = new Map(
      files.map(file => [
        file,
        imports.filter(i => i.from === file && i.target !== null).map(i => i.target!),
      ]),
    )
    const done = new Set<string>()
    const visit = (file: string, trail: readonly string[]): void => {
      if (trail.includes(file))
        throw new Error(`cycle: ${[...trail.slice(trail.indexOf(file)), file].join(' → ')}`)
      if (done.has(file)) return
      for (const next of graph.get(file) ?? []) visit(next, [...trail, file])
      done.add(file)
    }
    for (const file of files) visit(file, [])
  })

  it.each([
    ["import { a } from '../run/plan.ts'", 'src/archive/x.ts'],
    ['export * from "../../cli/repro.ts"', 'src/run/x.ts'],
    ["const x = await import('../author/check.ts')", 'src/run/x.ts'],
    ["import type { A } from '../image/import.ts'", 'src/runtime/x.ts'],
    ["import '../image/import.ts'", 'src/network/x.ts'],
    ["import Hyperdrive from 'hyperdrive'", 'src/run/x.ts'],
    ["import { spawn } from 'node:child_process'", 'src/run/x.ts'],
    ["import {\n  a,\n  b,\n} from '../daemon/home.ts'", 'src/host/x.ts'],
  ])('would catch %s in %s', (code, file) => {
    expect(
      importsOf(file, code)
        .map(fault)
        .filter(f => f !== null),
    ).toHaveLength(1)
  })
})
