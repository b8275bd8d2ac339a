import { treeMemoryBytes } from './process-tree.ts'

const FIRST_MS = 20
const LONGEST_MS = 1000

/** Looks at the memory of a process tree now and then. `stop` gives the highest sum seen, or null when nothing was seen. */
export function sampleMemory(pid: number): { stop(): Promise<number | null> } {
  let highest = 0
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let looking: Promise<void> = Promise.resolve()
  const look = (nextMs: number) => {
    looking = treeMemoryBytes(pid).then(bytes => {
      highest = Math.max(highest, bytes)
      if (!stopped) timer = setTimeout(look, nextMs, Math.min(nextMs * 1.5, LONGEST_MS)).unref()
    })
  }
  timer = setTimeout(look, FIRST_MS, FIRST_MS).unref()
  return {
    async stop() {
      stopped = true
      clearTimeout(timer)
      await looking
      return highest > 0 ? highest : null
    },
  }
}
