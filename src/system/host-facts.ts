import { open, readFile } from 'node:fs/promises'
import { availableParallelism, hostname, release, totalmem } from 'node:os'
import { join } from 'node:path'
import type { HostReport } from '../../schemas/index.ts'
import { userName } from './user.ts'

/** The facts of a host that plans and receipts need; nothing that names a person or the machine. */
export type HostFacts = Pick<
  HostReport,
  'architecture' | 'kernel' | 'cpus' | 'cpuModel' | 'cpuLevel' | 'memoryBytes' | 'uid'
> & { readonly gid: number; readonly cpuFlags: readonly string[] }

/** More than one processor's part of /proc/cpuinfo. */
const CPU_INFO_BYTES = 16 << 10

const OCI_NAMES: Partial<Record<string, string>> = {
  x64: 'amd64',
  x86_64: 'amd64',
  aarch64: 'arm64',
  ia32: '386',
  i386: '386',
  i686: '386',
  ppc64: 'ppc64le',
  loong64: 'loong64',
}

/** A processor's name as container images write it: `x64`, `x86_64` and `amd64` are all `amd64`. */
export function ociArchitecture(name: string): string {
  const lower = name.toLowerCase()
  return OCI_NAMES[lower] ?? lower
}

const readText = (path: string) => readFile(path, 'utf8').catch(() => '')

/** Reads what /proc and /sys tell. Never throws: what cannot be read is empty or what Node knows. */
export async function readHostFacts(): Promise<HostFacts> {
  const [cpuInfo, memoryLimit] = await Promise.all([firstProcessor(), controlGroupMemoryLimit()])
  const cpuFlags = (field(cpuInfo, 'flags') ?? field(cpuInfo, 'Features') ?? '')
    .split(' ')
    .filter(Boolean)
  const architecture = ociArchitecture(process.arch)
  return {
    architecture,
    kernel: release(),
    cpus: availableParallelism(),
    cpuModel: field(cpuInfo, 'model name') ?? field(cpuInfo, 'cpu') ?? architecture,
    cpuLevel: architecture === 'amd64' ? cpuLevel(cpuFlags) : null,
    memoryBytes: Math.min(totalmem(), memoryLimit ?? Number.POSITIVE_INFINITY),
    uid: process.getuid!(),
    gid: process.getgid!(),
    cpuFlags,
  }
}

/** Who and where: only for those who ask for it. */
export function readHostNames(): { readonly name: string; readonly user: string } {
  return { name: hostname(), user: userName() }
}

/** The beginning of /proc/cpuinfo: of hundreds of processors one is enough, and the kernel asks each that is read. */
async function firstProcessor(): Promise<string> {
  try {
    const file = await open('/proc/cpuinfo')
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(CPU_INFO_BYTES))
      return buffer.toString('utf8', 0, bytesRead)
    } finally {
      await file.close()
    }
  } catch {
    return ''
  }
}

function field(text: string, name: string): string | null {
  return new RegExp(`^${name}[ \\t]*:\\s*(.+)$`, 'm').exec(text)?.[1]?.trim() ?? null
}

/** What each level of the x86-64 psABI adds, by the names of /proc/cpuinfo. */
const LEVELS: readonly (readonly [string, readonly string[]])[] = [
  ['x86-64', ['cmov', 'cx8', 'fpu', 'fxsr', 'mmx', 'syscall', 'sse', 'sse2']],
  ['x86-64-v2', ['cx16', 'lahf_lm', 'popcnt', 'pni', 'sse4_1', 'sse4_2', 'ssse3']],
  ['x86-64-v3', ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe', 'xsave']],
  ['x86-64-v4', ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl']],
]

/** The highest level of the x86-64 psABI that these flags reach; null when not even the first is. */
export function cpuLevel(flags: readonly string[]): string | null {
  const present = new Set(flags)
  let reached: string | null = null
  for (const [level, needed] of LEVELS) {
    if (!needed.every(flag => present.has(flag))) break
    reached = level
  }
  return reached
}

/** The memory that our control group may use, or null when nothing limits it. */
export async function controlGroupMemoryLimit(): Promise<number | null> {
  const lines = (await readText('/proc/self/cgroup')).split('\n')
  const limits: number[] = []
  for (const line of lines) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    const isV2 = line.startsWith('0::')
    if (!isV2 && !controllers.split(',').includes('memory')) continue
    const root = isV2 ? '/sys/fs/cgroup' : '/sys/fs/cgroup/memory'
    const file = isV2 ? 'memory.max' : 'memory.limit_in_bytes'
    // A group is limited by its own limit and by those of all groups above it.
    const parts = path.split('/').filter(Boolean)
    for (let depth = parts.length; depth >= 0; depth--) {
      const text = (await readText(join(root, ...parts.slice(0, depth), file))).trim()
      if (/^[0-9]+$/.test(text)) limits.push(Number(text))
    }
  }
  const lowest = Math.min(...limits)
  return Number.isFinite(lowest) && lowest < totalmem() ? lowest : null
}
