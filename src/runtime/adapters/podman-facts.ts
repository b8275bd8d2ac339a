import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RuntimeReport } from '../../../schemas/index.ts'
import { homeFolder } from '../../system/user.ts'
import { which } from '../../system/which.ts'
import { isAtLeast } from '../report.ts'
import type { ProbeContext } from '../types.ts'

type Facts = RuntimeReport['facts']

/** What podman is tried with first: its own defaults. */
export async function firstPodmanFacts(
  context: ProbeContext,
  version: string | null,
): Promise<Facts> {
  const runtimeDir = process.env['XDG_RUNTIME_DIR']
  return {
    rootless: context.uid !== 0,
    keepId: context.uid !== 0,
    init: true,
    unsetenv: isAtLeast(version, 4, 3),
    home: homeFolder() ?? context.storage,
    ...(runtimeDir ? { runtimeDir } : {}),
  }
}

interface Adaptation {
  readonly when: RegExp
  /** What to try next, or null when this was tried already. */
  change(facts: Facts, context: ProbeContext): Promise<Facts | null>
}

/** From what podman says when it fails to what to try next. The first match counts. */
const ADAPTATIONS: readonly Adaptation[] = [
  {
    when: /rlimit/,
    async change(facts, context) {
      if (facts['ulimits'] === 'explicit') return null
      if (!facts['ulimits'] && context.uid !== 0) return { ...facts, ulimits: 'host' }
      return { ...facts, ulimits: 'explicit', ...(await hardLimits()) }
    },
  },
  {
    when: /hybrid mode|OCI runtime error|crun|OCI permission denied/,
    async change(facts) {
      if (facts['ociRuntime']) return null
      const runc = await which('runc')
      return runc ? { ...facts, ociRuntime: runc } : null
    },
  },
  {
    when: /keep-id|subuid|subgid|newuidmap|insufficient UIDs/,
    change: async facts => (facts['keepId'] ? { ...facts, keepId: false } : null),
  },
  {
    when: /catatonit|podman-init|init binary|container-init/i,
    change: async facts => (facts['init'] ? { ...facts, init: false } : null),
  },
  {
    when: /systemd|dbus|cgroup/i,
    change: async facts =>
      facts['cgroupManager'] ? null : { ...facts, cgroupManager: 'cgroupfs' },
  },
  {
    when: /./,
    change: async (facts, context) =>
      facts['storage']
        ? null
        : {
            ...facts,
            storage: join(context.storage, 'podman'),
            home: join(context.storage, 'podman'),
            runtimeDir: join(context.storage, 'podman', 'runtime'),
          },
  },
]

/** The facts to try next after this failure; null when nothing is left to try. */
export async function adaptPodman(
  facts: Facts,
  stderr: string,
  context: ProbeContext,
): Promise<Facts | null> {
  const adaptation = ADAPTATIONS.find(({ when }) => when.test(stderr))
  return adaptation ? await adaptation.change(facts, context) : null
}

/** The hard limits of this process, which a container may have but not raise. */
async function hardLimits(): Promise<{ nofile: number; nproc: number }> {
  const text = await readFile('/proc/self/limits', 'utf8')
  const hard = (name: string, most: number) => {
    const value = new RegExp(`^${name}\\s+\\S+\\s+(\\S+)`, 'm').exec(text)?.[1]
    return value === undefined || value === 'unlimited' ? most : Math.min(Number(value), most)
  }
  // podman lowers its own limit of processes to the highest pid, whatever it was given.
  const highestPid = Number(await readFile('/proc/sys/kernel/pid_max', 'utf8').catch(() => 4096))
  return { nofile: hard('Max open files', 1 << 20), nproc: hard('Max processes', highestPid) }
}
