import { arch, cpus, hostname, release, totalmem, userInfo } from 'node:os'

/** What a plan and a receipt need to know of this host. */
export interface HostFacts {
  /** As images name it: amd64, arm64 … */
  readonly architecture: string
  readonly kernel: string
  readonly cpuModel: string
  readonly cpus: number
  readonly memoryBytes: number
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
}

export function readHostFacts(): HostFacts {
  const processors = cpus()
  return {
    architecture: ARCHITECTURES[arch()] ?? arch(),
    kernel: release(),
    cpuModel: processors[0]?.model.trim() || 'unknown',
    cpus: Math.max(1, processors.length),
    memoryBytes: totalmem(),
  }
}

/** Who and where, for `--with-host` alone. */
export function readHostNames(): { readonly name: string; readonly user: string } {
  return { name: hostname(), user: userInfo().username }
}
