import { spawnSync } from 'node:child_process'

/** One way to do the work: the command that is timed, and what must be done before each time it is. */
export interface Contender {
  readonly name: string
  readonly argv: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly before?: () => void
}

export interface Sample {
  readonly name: string
  /** Wall clock of each round, in milliseconds. */
  readonly ms: readonly number[]
}

/** Times the contenders in interleaved rounds, so that what else the machine does hits all alike. One round first is not counted. */
export function measure(contenders: readonly Contender[], rounds: number): Sample[] {
  const samples = contenders.map(one => ({ name: one.name, ms: [] as number[] }))
  for (let round = -1; round < rounds; round++) {
    contenders.forEach((contender, i) => {
      contender.before?.()
      const started = performance.now()
      const { status, stderr, error } = spawnSync(contender.argv[0]!, contender.argv.slice(1), {
        env: { PATH: process.env['PATH'] ?? '', ...contender.env },
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      const ms = performance.now() - started
      if (status !== 0)
        throw new Error(`${contender.name} ended with ${status}: ${error?.message ?? stderr}`)
      if (round >= 0) samples[i]!.ms.push(ms)
    })
  }
  return samples
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
