import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { hostname, release } from 'node:os'
import { join } from 'node:path'
import { type RuntimeReport, runtimeReport } from '../../schemas/index.ts'
import { asReproError } from '../core/errors.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { blake3 } from '../system/blake3.ts'
import { ownershipFault } from '../system/ownership.ts'
import { which } from '../system/which.ts'
import { adapters } from './registry.ts'
import { brokenReport } from './report.ts'
import type { RuntimeAdapter } from './types.ts'

/** A refusal is believed for this long only: the administrator may be at work on it. */
const REFUSAL_LIVES_MS = 10_000

export interface ProbeOptions {
  /** `$REPRO_CACHE`. */
  readonly cache: string
  /** Probe again whatever the cache says. */
  readonly fresh?: boolean
  readonly signal?: AbortSignal
  /** Only these; all that the registry names when not given. */
  readonly only?: readonly RuntimeAdapter[]
}

/** Tries every runtime by really starting it, all at once; results are kept in `<cache>/probes/`. Order of the registry. */
export async function probeRuntimes(options: ProbeOptions): Promise<RuntimeReport[]> {
  return await Promise.all(
    (options.only ?? adapters).map(adapter => probeRuntime(adapter, options)),
  )
}

/** Tries one runtime, or takes what is known from the last time under the same circumstances. */
export async function probeRuntime(
  adapter: RuntimeAdapter,
  options: ProbeOptions,
): Promise<RuntimeReport> {
  const folder = join(options.cache, 'probes')
  const path = join(folder, `${adapter.name}-${await circumstances(adapter)}.json`)
  const known = options.fresh ? null : await readKnown(path, adapter)
  if (known) return known
  const storage = join(options.cache, 'runtimes', adapter.name)
  let scratch: string | null = null
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    scratch = await mkdtemp(join(folder, 'try-'))
    const report = await adapter.probe({
      uid: process.getuid!(),
      gid: process.getgid!(),
      scratch,
      storage,
      ...(options.signal ? { signal: options.signal } : {}),
    })
    options.signal?.throwIfAborted()
    await writeFileAtomic(path, `${JSON.stringify(report)}\n`)
    return report
  } catch (error) {
    options.signal?.throwIfAborted()
    return brokenReport(adapter, { reason: asReproError(error).message, remedies: [] })
  } finally {
    if (scratch !== null) await rm(scratch, { recursive: true, force: true })
  }
}

/** Everything that a result may depend on, as a short hash. */
async function circumstances(adapter: RuntimeAdapter): Promise<string> {
  const binary = adapter.program === null ? null : await which(adapter.program)
  const file = binary === null ? null : await stat(binary).catch(() => null)
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  const facts = [
    ...[hostname(), bootId.trim(), release(), process.getuid!(), process.getgid!()],
    ...[adapter.version, process.env['PATH'] ?? '', process.env['XDG_RUNTIME_DIR'] ?? ''],
    ...[binary, file?.size, file?.mtimeMs],
  ]
  return blake3(JSON.stringify(facts)).slice(0, 24)
}

/** A report is believed when it is ours, and names the program that PATH gives. */
async function readKnown(path: string, adapter: RuntimeAdapter): Promise<RuntimeReport | null> {
  const [text, file] = await Promise.all([
    readFile(path, 'utf8').catch(() => null),
    stat(path).catch(() => null),
  ])
  if (text === null || file === null || ownershipFault(file) !== null) return null
  const report = parseReport(text)
  if (report?.name !== adapter.name) return null
  if (report.binary !== null && report.binary !== (await which(adapter.program ?? ''))) return null
  return report.works || Date.now() - file.mtimeMs < REFUSAL_LIVES_MS ? report : null
}

function parseReport(text: string): RuntimeReport | null {
  try {
    return runtimeReport.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}
