import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { parallel } from '../../src/system/parallel.ts'

async function collect<T>(work: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of work) found.push(item)
  return found
}
const numbers = Array.from({ length: 50 }, (_, i) => i)

describe('parallel', () => {
  it('gives every result once, with no more than so many under way', async () => {
    let running = 0
    let most = 0
    const found = await collect(
      parallel(numbers, 4, async n => {
        most = Math.max(most, ++running)
        await sleep(n % 3)
        running--
        return n
      }),
    )
    expect(found.sort((a, b) => a - b)).toEqual(numbers)
    expect(most).toBe(4)
  })

  it('starts no more after an error, and throws it when what was under way has settled', async () => {
    const started: number[] = []
    let settled = 0
    const work = collect(
      parallel(numbers, 3, async n => {
        started.push(n)
        await sleep(n === 1 ? 1 : 20)
        settled++
        if (n === 1) throw new Error('one')
        return n
      }),
    )
    await expect(work).rejects.toThrow('one')
    expect(started).toEqual([0, 1, 2])
    expect(settled).toBe(3)
  })

  it('waits for what is under way when its reader stops', async () => {
    let running = 0
    for await (const n of parallel(numbers, 5, async n => {
      running++
      await sleep(n)
      running--
      return n
    })) {
      expect(n).toBe(0)
      break
    }
    expect(running).toBe(0)
  })

  it('yields nothing for nothing', async () => {
    expect(await collect(parallel([], 3, async n => n))).toEqual([])
  })
})
