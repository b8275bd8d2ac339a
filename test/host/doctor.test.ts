import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type HostReport, hostReport, type WorkRecord, workRecord } from '../../schemas/index.ts'
import { checkDisk } from '../../src/host/checks/disk.ts'
import { checkBlake3, checkNativeModules, checkNode } from '../../src/host/checks/software.ts'
import { type DiagnoseOptions, diagnose } from '../../src/host/doctor.ts'
import { adapters } from '../../src/runtime/registry.ts'
import { isRoot } from '../helpers/requires.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'repro-doctor-'))
})
afterEach(() => {
  chmodSync(folder, 0o700)
  rmSync(folder, { recursive: true, force: true })
})

async function examine(options: DiagnoseOptions) {
  const records: WorkRecord[] = []
  const steps = diagnose(options)
  for (;;) {
    const step = await steps.next()
    if (step.done) return { records, report: step.value as HostReport }
    records.push(workRecord.parse(step.value))
  }
}

describe('the doctor', () => {
  it('reports the host, every check and every runtime, as the schema says', async () => {
    const { records, report } = await examine({
      home: join(folder, 'home'),
      cache: join(folder, 'cache'),
      nativeModules: [['@napi-rs/blake-hash', '@napi-rs/blake-hash']],
    })
    expect(hostReport.parse(report)).toEqual(report)
    expect(report.runtimes.map(one => one.name)).toEqual(adapters.map(one => one.name))
    expect(report.checks.map(check => check.name)).toEqual([
      ...['user namespaces', 'network namespaces', 'subordinate uids', 'FUSE', 'control groups'],
      ...['instruction sets', 'home disk', 'cache disk', 'temporary disk', 'GPU', 'Node', 'BLAKE3'],
      'native modules',
    ])
    for (const check of report.checks) expect(check.value).not.toBe('')
    for (const { name } of adapters)
      expect(
        records.filter(record => record.subject === name).map(record => record.action),
      ).toEqual(['probe', 'probe'])
    expect(report.memoryBytes).toBeGreaterThan(1e8)
    expect(report.uid).toBe(process.getuid!())
  })

  it('ends when it is interrupted', async () => {
    const signal = AbortSignal.abort()
    await expect(examine({ home: folder, cache: folder, signal })).rejects.toThrow(/abort/i)
  })
})

describe('single checks', () => {
  it('tell a Node that is too old', () => {
    expect(checkNode('20.11.1')).toMatchObject({ status: 'bad' })
    expect(checkNode('20.12.0')).toMatchObject({ status: 'ok' })
    expect(checkNode('24.0.0')).toMatchObject({ status: 'ok' })
  })

  it('tell slow hashing', () => {
    expect(checkBlake3('wasm')).toMatchObject({ status: 'warn' })
    expect(checkBlake3('native')).toMatchObject({ status: 'ok' })
  })

  it('name the native module that does not load', () => {
    const check = checkNativeModules([['no-such-addon', '@napi-rs/blake-hash']])
    expect(check).toMatchObject({ status: 'bad' })
    expect(check.detail).toContain('no-such-addon')
    expect(check.remedies.length).toBeGreaterThan(0)
  })

  it('look at the disk where a folder will be made', async () => {
    const check = await checkDisk('home disk', join(folder, 'not', 'yet'), 'REPRO_HOME')
    expect(check.value).toMatch(/ free .*not\/yet"$/)
  })

  it('tell a folder that cannot be written', async () => {
    const check = await checkDisk('home disk', isRoot ? '/proc/nowhere' : '/nowhere', 'REPRO_HOME')
    if (!isRoot) expect(check).toMatchObject({ status: 'bad', remedies: expect.any(Array) })
    else expect(['bad', 'warn']).toContain(check.status)
  })
})
