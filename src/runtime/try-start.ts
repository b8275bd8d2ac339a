import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { RuntimeReport } from '../../schemas/index.ts'
import { asReproError } from '../core/errors.ts'
import { INSIDE, MOUNT_POINTS } from '../core/mount-points.ts'
import { startProcess } from '../system/start-process.ts'
import { TINY_OUTPUT, tinyProgram } from './tiny-program.ts'
import type { ProbeContext, RunSpec, RuntimeAdapter } from './types.ts'

const TIMEOUT_MS = 20_000

export interface Tried {
  readonly works: boolean
  readonly startMs: number
  /** What the runtime said when it did not work. */
  readonly stderr: string
}

let attempts = 0

/**
 * Really starts the tiny program once under this runtime, with every mount of a real run, by the adapter's own
 * command line. Never throws for a runtime that does not work.
 */
export async function tryStart(
  adapter: RuntimeAdapter,
  report: RuntimeReport,
  context: ProbeContext,
  limits: RunSpec['limits'] = {},
): Promise<Tried> {
  const startedAt = performance.now()
  try {
    const spec = await probeSpec(adapter, context, limits)
    if (!spec)
      return { works: false, startMs: 0, stderr: `no probe program for ${process.arch} processors` }
    const running = await startProcess(adapter.commandLine(spec, report), {
      runId: spec.id,
      graceMs: 0,
      signal: AbortSignal.any([
        AbortSignal.timeout(TIMEOUT_MS),
        ...(context.signal ? [context.signal] : []),
      ]),
    })
    running.stderr.resume()
    const [stdout, end] = await Promise.all([text(running.stdout), running.end])
    const startMs = performance.now() - startedAt
    const works = !end.runtimeFailed && end.exitCode === 0 && stdout === TINY_OUTPUT
    const stderr = end.stopped ? `timed out after ${TIMEOUT_MS / 1000} s` : end.stderrTail
    return { works, startMs: Math.round(startMs), stderr }
  } catch (error) {
    return { works: false, startMs: 0, stderr: asReproError(error).message }
  }
}

async function probeSpec(
  adapter: RuntimeAdapter,
  context: ProbeContext,
  limits: RunSpec['limits'],
): Promise<RunSpec | null> {
  const program = tinyProgram()
  if (!program) return null
  const id = `probe-${process.pid}-${++attempts}`
  const folder = join(context.scratch, String(attempts))
  const rootfs = adapter.abilities.image ? join(folder, 'rootfs') : null
  const bundle = join(folder, 'bundle')
  const scratch = join(folder, 'scratch')
  const out = join(folder, 'out')
  for (const made of [join(bundle, 'out'), scratch, out]) await mkdir(made, { recursive: true })
  for (const point of rootfs ? MOUNT_POINTS : [])
    await mkdir(join(rootfs!, point), { recursive: true })
  const path = join(rootfs ?? folder, 'tiny')
  await writeFile(path, program)
  await chmod(path, 0o755)
  return {
    id,
    rootfs,
    bundle,
    insideBundle: rootfs ? INSIDE : bundle,
    out: { host: out, inside: join(rootfs ? INSIDE : bundle, 'out') },
    mounts: [],
    command: [rootfs ? '/tiny' : path],
    env: { PATH: '/usr/bin:/bin', HOME: '/tmp', REPRO_RUN_ID: id },
    network: 'none',
    uid: context.uid,
    gid: context.gid,
    limits,
    scratch,
  }
}
