import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Reading and ending trees of processes by way of /proc. Everything here copes with processes that vanish. */

interface ProcessState {
  readonly pid: number
  readonly parent: number
  readonly session: number
  /** Clock ticks since boot; with the pid it names one process for ever. */
  readonly startTime: string
  readonly zombie: boolean
}

const isPid = (name: string) => /^[1-9][0-9]*$/.test(name)
const readText = (path: string) => readFile(path, 'latin1').catch(() => '')
const listNames = (path: string) => readdir(path).catch(() => [] as string[])

async function readState(pid: number): Promise<ProcessState | null> {
  const text = await readText(`/proc/${pid}/stat`)
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  if (fields.length < 20) return null
  return {
    pid,
    parent: Number(fields[1]),
    session: Number(fields[3]),
    startTime: fields[19]!,
    zombie: fields[0] === 'Z' || fields[0] === 'X',
  }
}

async function allProcesses(): Promise<ProcessState[]> {
  const pids = (await listNames('/proc')).filter(isPid).map(Number)
  const states = await Promise.all(pids.map(readState))
  return states.filter(state => state !== null)
}

/** The children of a process, or null where the kernel does not list them. */
async function childrenOf(pid: number): Promise<number[] | null> {
  const threads = await listNames(`/proc/${pid}/task`)
  const lists = await Promise.all(
    threads.map(thread =>
      readFile(`/proc/${pid}/task/${thread}/children`, 'latin1').catch((e: { code?: string }) =>
        e.code === 'ENOENT' && thread === String(process.pid) ? null : '',
      ),
    ),
  )
  if (lists.includes(null)) return null
  return lists
    .join(' ')
    .split(' ')
    .filter(text => isPid(text.trim()))
    .map(Number)
}

let listsChildren: Promise<boolean> | undefined

/** `root` and all processes below it, parents first. Those that were given to another parent are not found. */
export async function processTree(root: number): Promise<number[]> {
  listsChildren ??= childrenOf(process.pid).then(children => children !== null)
  const found = [root]
  if (await listsChildren) {
    for (let i = 0; i < found.length; i++) found.push(...((await childrenOf(found[i]!)) ?? []))
    return found
  }
  const all = await allProcesses()
  for (let i = 0; i < found.length; i++)
    found.push(...all.filter(state => state.parent === found[i]).map(state => state.pid))
  return found
}

/** Processes of the session that `leader` opened and that are still there. */
export async function sessionOf(leader: number): Promise<number[]> {
  return (await allProcesses())
    .filter(state => state.session === leader && !state.zombie)
    .map(state => state.pid)
}

async function pidDepth(pid: number | 'self'): Promise<number> {
  const line = /^NSpid:\s*(.*)$/m.exec(await readText(`/proc/${pid}/status`))?.[1]
  return line === undefined ? 0 : line.trim().split(/\s+/).length
}

/** Of these processes, those in a pid namespace below ours: what runs inside of a sandbox. */
export async function insideSandbox(pids: readonly number[]): Promise<number[]> {
  const ours = await pidDepth('self')
  const depths = await Promise.all(pids.map(pidDepth))
  return pids.filter((_, i) => depths[i]! > ours)
}

/** Sends a signal; a process that is gone or not ours is passed over. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** Waits until none of these processes is left (zombies do not count), at most `timeoutMs`. */
export async function waitUntilGone(pids: readonly number[], timeoutMs: number): Promise<boolean> {
  const before = (await Promise.all(pids.map(readState))).filter(state => state !== null)
  const deadline = performance.now() + timeoutMs
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    const now = await Promise.all(before.map(state => readState(state.pid)))
    if (!now.some((state, i) => state?.startTime === before[i]!.startTime && !state.zombie))
      return true
    if (performance.now() > deadline) return false
    await sleep(pauseMs)
  }
}

/**
 * Ends every process whose environment names this run, wherever it hides: other session, other parent.
 * Returns how many were ended. Processes of other users cannot be seen.
 */
export async function killStragglers(runId: string): Promise<number> {
  const mark = `REPRO_RUN_ID=${runId}`
  const ended = new Set<number>()
  for (let round = 0; round < 20; round++) {
    const pids = (await listNames('/proc')).filter(isPid).map(Number)
    const marked = await Promise.all(
      pids.map(async pid =>
        pid !== process.pid && (await readText(`/proc/${pid}/environ`)).split('\0').includes(mark)
          ? pid
          : 0,
      ),
    )
    const left = marked.filter(pid => pid > 0)
    if (left.length === 0) break
    for (const pid of left) if (signalProcess(pid, 'SIGKILL')) ended.add(pid)
    await waitUntilGone(left, 1000)
  }
  return ended.size
}

/** Memory of a tree now: what all its processes hold, or the highest mark of one of them if that is more. */
export async function treeMemoryBytes(root: number): Promise<number> {
  let sum = 0
  let highest = 0
  for (const pid of await processTree(root)) {
    const text = await readText(`/proc/${pid}/status`)
    sum += 1024 * Number(/^VmRSS:\s*(\d+)/m.exec(text)?.[1] ?? 0)
    highest = Math.max(highest, 1024 * Number(/^VmHWM:\s*(\d+)/m.exec(text)?.[1] ?? 0))
  }
  return Math.max(sum, highest)
}
