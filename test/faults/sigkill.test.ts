import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { scratch } from '../helpers/cli.ts'
import { PHASES, runSeed, type Tally } from './rounds.ts'

// `npm run soak` gives the seeds; five without it.
const first = Number(process.env['REPRO_SOAK_FIRST'] ?? 0)
const count = Number(process.env['REPRO_SOAK_COUNT'] ?? 5)
const soaking = process.env['REPRO_SOAK_COUNT'] !== undefined
/** With fewer, some phase may have no kill. */
const FEWEST_SEEDS = 5
const MINUTE_MS = 60_000

test(
  `commands killed at any moment end right when they are repeated (seeds ${first} to ${first + count - 1})`,
  async () => {
    const tally: Tally = new Map()
    const folder = scratch()
    for (let seed = first; seed < first + count; seed++) {
      const place = join(folder, String(seed))
      try {
        await runSeed(place, { seed, tally, thorough: soaking })
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
      rmSync(place, { recursive: true })
      if (soaking) console.log(`seed ${seed} ended right`)
    }
    const expected = Object.entries(PHASES).flatMap(([verb, phases]) =>
      phases.map(phase => `${verb} ${phase}`),
    )
    const others = [...tally.keys()].filter(name => !expected.includes(name))
    const rows = [...expected, ...others].map(name => [name, tally.get(name) ?? 0] as const)
    const lines = rows.map(([name, kills]) => `  ${name.padEnd(16)} ${String(kills).padStart(5)}`)
    console.log(`kills by command and phase\n${lines.join('\n')}`)
    // A few seeds do not reach everything.
    if (count < FEWEST_SEEDS) return
    expect(rows.filter(([, kills]) => kills === 0)).toEqual([])
  },
  MINUTE_MS * Math.max(5, count),
)
