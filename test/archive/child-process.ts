import { type ChildProcess, spawn } from 'node:child_process'
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import { onTestFinished } from 'vitest'

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..', '..')

/** Makes `child.ts` a program that plain Node runs; it must lie where it finds the packages. */
export async function buildChild(): Promise<{ program: string; remove(): Promise<void> }> {
  const folder = join(root, 'node_modules', '.cache', `repro-test-${process.pid}`)
  await mkdir(folder, { recursive: true })
  const program = join(folder, 'child.mjs')
  await build({
    entryPoints: [join(root, 'test/archive/child.ts')],
    outfile: program,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
  })
  // Threads are found beside the program that starts them.
  for (const path of await readdir(join(root, 'src'), { recursive: true }))
    if (path.endsWith('.mjs')) await copyFile(join(root, 'src', path), join(folder, basename(path)))
  return { program, remove: () => rm(folder, { recursive: true, force: true }) }
}

export interface Child {
  readonly process: ChildProcess
  /** The next line for which `fits` holds. Throws when the child ends before. */
  line<T>(fits: (value: Record<string, unknown>) => boolean): Promise<T>
  readonly ended: Promise<number | null>
}

export function start(argv: readonly string[]): Child {
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let errors = ''
  child.stderr.on('data', chunk => {
    errors += chunk
  })
  const lines: Record<string, unknown>[] = []
  const waiting = new Set<() => void>()
  let over = false
  const wake = () => {
    for (const call of waiting) call()
  }
  createInterface({ input: child.stdout }).on('line', line => {
    lines.push(JSON.parse(line) as Record<string, unknown>)
    wake()
  })
  const ended = new Promise<number | null>(resolve => {
    child.on('close', code => {
      over = true
      wake()
      resolve(code)
    })
  })
  return {
    process: child,
    ended,
    line: <T>(fits: (value: Record<string, unknown>) => boolean) =>
      new Promise<T>((resolve, reject) => {
        const look = () => {
          const found = lines.findIndex(fits)
          if (found >= 0) resolve(lines.splice(found, 1)[0] as T)
          else if (over) reject(new Error(`the child ended: ${errors}`))
          else return
          waiting.delete(look)
        }
        waiting.add(look)
        look()
      }),
  }
}
