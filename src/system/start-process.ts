import { spawn } from 'node:child_process'
import { mkdir, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { asReproError } from '../core/errors.ts'
import { startGuard } from './guard.ts'
import { inheritedFiles } from './inherited-files.ts'
import type { Launch } from './launch.ts'
import { sampleMemory } from './memory-sampler.ts'
import { openNamelessFile } from './nameless-file.ts'
import { openPipes } from './pipe.ts'
import { runCommand } from './process.ts'
import { readEnd } from './process-end.ts'
import {
  insideSandbox,
  killStragglers,
  processTree,
  sessionOf,
  signalProcess,
  waitUntilGone,
} from './process-tree.ts'
import type { ProcessEnd, RunningProcess, StartOptions } from './running-process.ts'
import { tapTail } from './stream-tail.ts'

const GRACE_MS = 5000
const CLEANUP_TIMEOUT_MS = 30_000
const STATUS_LIMIT = 64 << 10

/**
 * Starts one command as its own session with an empty stdin and nothing of what we inherited, and watches it to its end.
 * Throws only for what lies before the start (a folder that cannot be made); a program that is missing is an end.
 */
export async function startProcess(
  launch: Launch,
  options: StartOptions = {},
): Promise<RunningProcess> {
  for (const folder of launch.folders) await mkdir(folder, { recursive: true, mode: 0o700 })
  const cwdFound = await stat(launch.cwd).then(
    s => s.isDirectory(),
    () => false,
  )
  if (!cwdFound) return endedBefore(`the working directory "${launch.cwd}" is missing`, null)

  const [out, err] = await openPipes(2)
  const statusFd = 'fd' in launch.started ? launch.started.fd : null
  const given = givenFiles(launch)
  const stdio: ('ignore' | 'pipe' | number)[] = [given.empty, out!.writer, err!.writer]
  const extra = new Map<number, 'pipe' | number>(given.files)
  if (statusFd !== null) extra.set(statusFd, 'pipe')
  for (let fd = 3; fd <= Math.max(0, ...extra.keys()); fd++) stdio.push(extra.get(fd) ?? 'ignore')
  const startedAt = performance.now()
  const child = spawn(launch.argv[0]!, launch.argv.slice(1), {
    cwd: launch.cwd,
    env: { ...launch.env },
    stdio,
    detached: true,
  })
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null; error?: Error }>(
    resolve => {
      child.once('exit', (code, signal) => resolve({ code, signal }))
      child.once('error', error => resolve({ code: null, signal: null, error }))
    },
  )
  // All listeners stand before anything is awaited: a short process is gone by then.
  const tap = tapTail(err!.reader)
  let status = ''
  let sawStatus: (() => void) | undefined
  const statusSeen = new Promise<void>(resolve => {
    sawStatus = resolve
  })
  const statusStream = statusFd === null ? null : (child.stdio[statusFd] as Readable)
  const statusClosed = statusStream
    ? new Promise<void>(resolve => {
        statusStream.on('data', (bytes: Buffer) => {
          if (status.length < STATUS_LIMIT) status += bytes.toString('latin1')
          sawStatus!()
        })
        statusStream.once('close', resolve)
        statusStream.once('error', () => resolve())
      })
    : Promise.resolve()
  const outputClosed = Promise.all([closed(out!.reader), closed(tap.stream)])
  const memory = child.pid === undefined ? null : sampleMemory(child.pid)

  given.close()
  await out!.closeWriter()
  await err!.closeWriter()
  const guard =
    child.pid !== undefined && (launch.cleanup.length > 0 || launch.started.kind === 'spawn')
      ? startGuard(child.pid, options.runId, launch.cleanup, launch.env)
      : null

  let stopped = false
  let stopping: Promise<void> | undefined
  const end = finish()
  const stop = async (graceMs = options.graceMs ?? GRACE_MS) => {
    stopping ??= endTree(graceMs)
    await stopping
    return await end
  }
  const onAbort = () => void stop()
  if (options.signal?.aborted) onAbort()
  options.signal?.addEventListener('abort', onAbort, { once: true })

  return {
    pid: child.pid ?? null,
    stdout: out!.reader,
    stderr: tap.stream,
    started: Promise.race([
      launch.started.kind === 'spawn'
        ? Promise.resolve(child.pid !== undefined)
        : statusSeen.then(() => true),
      end.then(result => result.started),
    ]),
    end,
    stop,
  }

  async function finish(): Promise<ProcessEnd> {
    const exit = await exited
    const durationMs = performance.now() - startedAt
    if (child.pid !== undefined) await endLeftovers(child.pid)
    await statusClosed
    await outputClosed
    await stopping
    options.signal?.removeEventListener('abort', onAbort)
    guard?.release()
    return {
      ...(await readEnd(launch, { ...exit, status, stderrTail: tap.tail(), stopped })),
      stopped,
      stderrTail: tap.tail(),
      peakMemoryBytes: (await memory?.stop()) ?? null,
      durationMs,
    }
  }

  /** What may outlive the process that we started: its session, processes marked with the run, containers. */
  async function endLeftovers(pid: number): Promise<void> {
    if (launch.started.kind === 'spawn') {
      for (const left of await sessionOf(pid)) signalProcess(left, 'SIGKILL')
      if (options.runId !== undefined) await killStragglers(options.runId)
    }
    if (stopped) {
      for (const argv of launch.cleanup)
        await runCommand(argv, {
          env: launch.env,
          cwd: launch.cwd,
          timeoutMs: CLEANUP_TIMEOUT_MS,
        })
      if (options.runId !== undefined) await killStragglers(options.runId)
    }
  }

  async function endTree(graceMs: number): Promise<void> {
    const pid = child.pid
    if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    stopped = true
    const tree = await processTree(pid)
    const inside = await insideSandbox(tree)
    const session = launch.started.kind === 'spawn' ? await sessionOf(pid) : []
    const targets = inside.length > 0 ? inside : [...new Set([...tree, ...session])]
    if (graceMs > 0) {
      for (const target of targets) signalProcess(target, 'SIGTERM')
      const timer = new AbortController()
      await Promise.race([
        exited,
        sleep(graceMs, undefined, { signal: timer.signal }).catch(() => undefined),
      ])
      timer.abort()
    }
    const left = [...new Set([...tree, ...(await processTree(pid))])]
    if (child.exitCode === null && child.signalCode === null)
      for (const target of left) signalProcess(target, 'SIGKILL')
    await exited
    await waitUntilGone(left, 5000)
  }
}

/**
 * What the child gets beside its output: an empty stdin, the contents that the launch names, and an empty file in
 * place of everything that it would inherit from whoever started us.
 */
function givenFiles(launch: Launch): {
  empty: number
  files: Map<number, number>
  close(): void
} {
  // Asked before anything of ours is open.
  const inherited = inheritedFiles()
  const empty = openNamelessFile()
  const contents = (launch.contents ?? []).map(
    ({ fd, base64 }) => [fd, openNamelessFile(Buffer.from(base64, 'base64'))] as const,
  )
  const opened = [empty, ...contents.map(([, file]) => file)]
  return {
    empty: empty.fd,
    files: new Map([
      ...inherited.map(fd => [fd, empty.fd] as const),
      ...contents.map(([fd, file]) => [fd, file.fd] as const),
    ]),
    close: () => {
      for (const file of opened) file.close()
    },
  }
}

function closed(stream: Readable): Promise<void> {
  return new Promise(resolve => {
    if (stream.closed) resolve()
    stream.once('close', () => resolve())
  })
}

function endedBefore(message: string, exitCode: number | null): RunningProcess {
  const end: ProcessEnd = {
    started: false,
    runtimeFailed: true,
    exitCode,
    signal: null,
    stopped: false,
    stderrTail: asReproError(new Error(message)).message,
    peakMemoryBytes: null,
    durationMs: 0,
  }
  return {
    pid: null,
    stdout: Readable.from([]),
    stderr: Readable.from([`${message}\n`]),
    started: Promise.resolve(false),
    end: Promise.resolve(end),
    stop: () => Promise.resolve(end),
  }
}
