import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { median, type Sample } from './measure.ts'

/** A figure the issue asks for: our sample against a peer's, as a ratio or as a difference. */
export interface Figure {
  readonly what: string
  readonly ours: string
  readonly peer: string
  readonly must: { readonly ratio: number } | { readonly addedMs: number }
}

export interface BenchResult {
  readonly bench: string
  readonly samples: readonly Sample[]
  readonly figures: readonly Figure[]
  /** What is missing, and why: an absent peer is said, never guessed. */
  readonly absent: readonly string[]
}

/** Prints the table and writes the raw samples to bench/results/<bench>.json. Returns whether every must holds. */
export function report(result: BenchResult): boolean {
  const width = Math.max(...result.samples.map(s => s.name.length))
  console.log(`\n${result.bench}`)
  for (const { name, ms } of result.samples) {
    const line = [median(ms), Math.min(...ms), Math.max(...ms)].map(v => v.toFixed(1).padStart(8))
    console.log(
      `  ${name.padEnd(width)}  median ${line[0]} ms  min ${line[1]}  max ${line[2]}  n=${ms.length}`,
    )
  }
  const medianOf = (name: string) => median(result.samples.find(s => s.name === name)!.ms)
  const figures = result.figures.map(figure => {
    const ours = medianOf(figure.ours)
    const peer = medianOf(figure.peer)
    const met =
      'ratio' in figure.must ? ours / peer <= figure.must.ratio : ours - peer <= figure.must.addedMs
    const bound =
      'ratio' in figure.must ? `≤ ${figure.must.ratio} ×` : `≤ ${figure.must.addedMs} ms added`
    const found = `${(ours / peer).toFixed(2)} ×, ${(ours - peer).toFixed(0)} ms added`
    console.log(`  ${met ? 'met    ' : 'NOT MET'} ${figure.what}: ${found} (must: ${bound})`)
    return { ...figure, ratio: ours / peer, addedMs: ours - peer, met }
  })
  for (const what of result.absent) console.log(`  absent: ${what}`)
  mkdirSync('bench/results', { recursive: true })
  const text = JSON.stringify(
    { bench: result.bench, ...machine(), samples: result.samples, figures, absent: result.absent },
    null,
    2,
  )
  writeFileSync(`bench/results/${result.bench}.json`, `${text}\n`)
  return figures.every(figure => figure.met)
}

function machine(): Record<string, unknown> {
  return {
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim(),
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    memoryBytes: totalmem(),
  }
}
