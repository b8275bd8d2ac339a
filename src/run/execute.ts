import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import type { Receipt, WorkRecord } from '../../schemas/index.ts'
import type { Launch } from '../system/launch.ts'
import type { ProcessEnd, RunningProcess } from '../system/running-process.ts'
import { startProcess } from '../system/start-process.ts'
import { RecordQueue } from './record-queue.ts'

export interface Execution {
  readonly outcome: Receipt['outcome']
  readonly end: ProcessEnd
  readonly startedAt: Date
  readonly finishedAt: Date
}

export interface ExecuteOptions {
  readonly runId: string
  /** Where stdout.log and stderr.log go. */
  readonly folder: string
  readonly timeoutMs?: number
  readonly graceMs?: number
  readonly signal?: AbortSignal
}

/**
 * Executes one command line to its end. Its output comes as records while it runs (`message` is text, `data.bytes` is exact), and goes as bytes into
 * `stdout.log` and `stderr.log`. An abort, a timeout, an error while writing, and a consumer that stops listening
 * all end its whole process tree. Throws DISK_FULL, WRITE_FAILED (errno) when the logs cannot be written.
 */
export async function* execute(
  launch: Launch,
  options: ExecuteOptions,
): AsyncGenerator<WorkRecord, Execution> {
  const startedAt = new Date()
  const logs = await openLogs(options.folder)
  const queue = new RecordQueue()
  let running: RunningProcess | null = null
  let timer: NodeJS.Timeout | undefined
  let timedOut = false
  try {
    running = await startProcess(launch, {
      runId: options.runId,
      ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
      ...(options.signal ? { signal: options.signal } : {}),
    })
    const { stop } = running
    if (options.timeoutMs !== undefined)
      timer = setTimeout(
        () => {
          timedOut = true
          void stop()
        },
        Math.min(options.timeoutMs, 2 ** 31 - 1),
      )
    const copied = Promise.all([
      copyOutput(running.stdout, 'stdout', logs.stdout, queue),
      copyOutput(running.stderr, 'stderr', logs.stderr, queue),
    ])
    const failed = copied.then(
      () => null,
      async (error: unknown) => {
        await stop(0)
        return { error }
      },
    )
    const ended = Promise.all([failed, running.end]).finally(() => queue.close())
    yield* queue
    const [failure, end] = await ended
    if (failure) throw failure.error
    const finishedAt = new Date()
    const interrupted = options.signal?.aborted === true
    return { outcome: outcomeOf(end, timedOut, interrupted), end, startedAt, finishedAt }
  } finally {
    clearTimeout(timer)
    queue.close()
    if (running) await running.stop()
    await Promise.all([logs.stdout.close(), logs.stderr.close()])
  }
}

/** Empty log files; what an earlier runtime that failed to start had said goes. */
async function openLogs(folder: string): Promise<{ stdout: FileHandle; stderr: FileHandle }> {
  return {
    stdout: await open(join(folder, 'stdout.log'), 'w', 0o644),
    stderr: await open(join(folder, 'stderr.log'), 'w', 0o644),
  }
}

async function copyOutput(
  stream: Readable,
  action: 'stdout' | 'stderr',
  log: FileHandle,
  queue: RecordQueue,
): Promise<void> {
  // Characters may be cut by the borders of chunks: the decoder keeps their first bytes until the rest comes.
  const decoder = new StringDecoder('utf8')
  for await (const chunk of stream) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    await log.writeFile(bytes)
    await queue.put({ action, message: decoder.write(bytes), data: { bytes } })
  }
  const rest = decoder.end()
  if (rest !== '') await queue.put({ action, message: rest, data: { bytes: Buffer.alloc(0) } })
}

function outcomeOf(end: ProcessEnd, timedOut: boolean, interrupted: boolean): Receipt['outcome'] {
  if (end.stopped) return timedOut ? 'timeout' : interrupted ? 'interrupted' : 'signal'
  if (end.runtimeFailed || end.exitCode === null) return 'runtime failed'
  if (end.exitCode === 0) return 'completed'
  return end.signal === null ? 'exit code' : 'signal'
}
