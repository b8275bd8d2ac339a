import { tmpdir } from 'node:os'
import type { Check, HostReport, RuntimeReport, WorkRecord } from '../../schemas/index.ts'
import { probeRuntime } from '../runtime/probe.ts'
import { adapters } from '../runtime/registry.ts'
import { readHostFacts } from '../system/host-facts.ts'
import { parallel } from '../system/parallel.ts'
import { makeCheck } from './check.ts'
import { checkControlGroups } from './checks/control-groups.ts'
import { checkFuse, checkGpu } from './checks/devices.ts'
import { checkDisk } from './checks/disk.ts'
import { checkNetworkNamespaces, checkUserNamespaces } from './checks/namespaces.ts'
import { checkBlake3, checkNativeModules, checkNode, type NativeModule } from './checks/software.ts'
import { checkSubordinateIds } from './checks/subordinate-ids.ts'

export interface DiagnoseOptions {
  readonly home: string
  readonly cache: string
  /** Packages with compiled code that repro loads; given by whoever knows them. */
  readonly nativeModules?: readonly NativeModule[]
  /** Try every runtime again, whatever is known from the last time. */
  readonly fresh?: boolean
  readonly signal?: AbortSignal
}

/**
 * Finds out what this host can run, by trying it: a record for each runtime and check as it is known, then the
 * whole report. Throws only when it is interrupted.
 */
export async function* diagnose(options: DiagnoseOptions): AsyncGenerator<WorkRecord, HostReport> {
  const { signal } = options
  const facts = await readHostFacts()
  const pendingChecks = Promise.all(checksOf(options, facts.uid, facts.cpuFlags))
  const reports = new Map<string, RuntimeReport>()
  for (const { name } of adapters) yield { action: 'probe', status: 'start', subject: name }
  for await (const report of parallel(adapters, adapters.length, adapter =>
    probeRuntime(adapter, options),
  )) {
    reports.set(report.name, report)
    yield runtimeRecord(report)
  }
  const checks = await pendingChecks
  signal?.throwIfAborted()
  for (const check of checks) yield checkRecord(check)
  return {
    format: 0,
    architecture: facts.architecture,
    kernel: facts.kernel,
    cpus: facts.cpus,
    cpuModel: facts.cpuModel,
    cpuLevel: facts.cpuLevel,
    memoryBytes: facts.memoryBytes,
    uid: facts.uid,
    checks,
    runtimes: adapters.map(({ name }) => reports.get(name)!),
  }
}

function checksOf(
  { home, cache, nativeModules, signal }: DiagnoseOptions,
  uid: number,
  cpuFlags: readonly string[],
): (Check | Promise<Check>)[] {
  return [
    checkUserNamespaces(signal),
    checkNetworkNamespaces(signal),
    checkSubordinateIds(uid),
    checkFuse(),
    checkControlGroups(),
    checkInstructions(cpuFlags),
    checkDisk('home disk', home, 'REPRO_HOME'),
    checkDisk('cache disk', cache, 'REPRO_CACHE'),
    checkDisk('temporary disk', tmpdir(), 'TMPDIR'),
    checkGpu(signal),
    checkNode(),
    checkBlake3(),
    ...(nativeModules ? [checkNativeModules(nativeModules)] : []),
  ]
}

/** Instruction sets that change floating-point results or that programs are built for. */
const TELLING_FLAGS = ['sse4_2', 'avx', 'avx2', 'fma', 'avx512f', 'amx_tile', 'asimd', 'sve']

function checkInstructions(flags: readonly string[]): Check {
  const present = TELLING_FLAGS.filter(flag => flags.includes(flag))
  const where = flags.includes('hypervisor') ? ', in a virtual machine' : ''
  return makeCheck('instruction sets', 'info', `${present.join(', ') || 'none of note'}${where}`)
}

function runtimeRecord(report: RuntimeReport): WorkRecord {
  return {
    action: 'probe',
    status: report.works ? 'ok' : 'skipped',
    subject: report.name,
    message: report.works ? report.fidelity : (report.reason ?? 'it does not work here'),
    hints: report.remedies,
  }
}

function checkRecord(check: Check): WorkRecord {
  const status = { ok: 'ok', info: 'ok', warn: 'warn', bad: 'error' } as const
  return {
    action: 'check',
    status: status[check.status],
    subject: check.name,
    message: check.value,
    hints: check.remedies,
  }
}
