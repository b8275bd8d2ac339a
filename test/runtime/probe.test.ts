import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RuntimeReport } from '../../schemas/index.ts'
import { probeRuntime, probeRuntimes } from '../../src/runtime/probe.ts'
import { adapters } from '../../src/runtime/registry.ts'
import { brokenReport, workingReport } from '../../src/runtime/report.ts'
import { TINY_OUTPUT, tinyProgram } from '../../src/runtime/tiny-program.ts'
import type { RuntimeAdapter } from '../../src/runtime/types.ts'

let cache: string
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'repro-probe-'))
})
afterEach(() => rmSync(cache, { recursive: true, force: true }))

/** An adapter whose probe counts and answers as told. */
function counting(works: boolean): { adapter: RuntimeAdapter; count: () => number } {
  let count = 0
  const adapter: RuntimeAdapter = {
    ...adapters.find(({ name }) => name === 'host')!,
    async probe(): Promise<RuntimeReport> {
      count++
      return works
        ? workingReport(adapter)
        : brokenReport(adapter, { reason: 'not today', remedies: [] })
    },
  }
  return { adapter, count: () => count }
}

describe('probing', () => {
  it('gives a report for every adapter, in order, with a reason where it does not work', async () => {
    const reports = await probeRuntimes({ cache })
    expect(reports.map(report => report.name)).toEqual(adapters.map(adapter => adapter.name))
    for (const report of reports) expect(report.works ? report.startMs : report.reason).toBeTruthy()
    expect(readdirSync(join(cache, 'probes')).filter(name => name.startsWith('try-'))).toEqual([])
  })

  it('keeps what works, tries again when asked to or when the adapter changed', async () => {
    const { adapter, count } = counting(true)
    await probeRuntime(adapter, { cache })
    await probeRuntime(adapter, { cache })
    expect(count()).toBe(1)
    await probeRuntime(adapter, { cache, fresh: true })
    expect(count()).toBe(2)
    await probeRuntime({ ...adapter, version: adapter.version + 1 }, { cache })
    expect(count()).toBe(3)
  })

  it('believes a refusal for a short while only', async () => {
    const { adapter, count } = counting(false)
    await probeRuntime(adapter, { cache })
    await probeRuntime(adapter, { cache })
    expect(count()).toBe(1)
    const minuteAgo = Date.now() / 1000 - 60
    for (const name of readdirSync(join(cache, 'probes')))
      utimesSync(join(cache, 'probes', name), minuteAgo, minuteAgo)
    await probeRuntime(adapter, { cache })
    expect(count()).toBe(2)
  })

  it('passes over a damaged cache file', async () => {
    const { adapter, count } = counting(true)
    await probeRuntime(adapter, { cache })
    for (const name of readdirSync(join(cache, 'probes')))
      writeFileSync(join(cache, 'probes', name), '{"name":')
    expect((await probeRuntime(adapter, { cache })).works).toBe(true)
    expect(count()).toBe(2)
  })

  it('believes no report that others can write, or that names another program', async () => {
    const { adapter, count } = counting(true)
    const probe = () => probeRuntime({ ...adapter, program: 'sh' }, { cache })
    await probe()
    const [name] = readdirSync(join(cache, 'probes'))
    const path = join(cache, 'probes', name!)
    chmodSync(path, 0o666)
    await probe()
    expect(count()).toBe(2)
    await probe()
    expect(count()).toBe(2)
    const report = JSON.parse(readFileSync(path, 'utf8'))
    writeFileSync(path, JSON.stringify({ ...report, binary: '/tmp/sh' }))
    expect((await probe()).binary).toBe(null)
    expect(count()).toBe(3)
  })

  it('reports a cache that cannot be written', async () => {
    const { adapter } = counting(true)
    writeFileSync(join(cache, 'file'), '')
    const report = await probeRuntime(adapter, { cache: join(cache, 'file') })
    expect(report).toMatchObject({ works: false })
    expect(report.reason).not.toBe('')
  })
})

describe('the tiny program', () => {
  it('runs on this processor', () => {
    const path = join(cache, 'tiny')
    writeFileSync(path, tinyProgram()!)
    chmodSync(path, 0o755)
    const { status, stdout } = spawnSync(path, { encoding: 'utf8' })
    expect([status, stdout]).toEqual([0, TINY_OUTPUT])
  })
})
