import { stat } from 'node:fs/promises'

/** What tells of the whole host or its keys, or acts on it; root could read all of it. */
export const HIDDEN_PROC = ['acpi', 'asound', 'kcore', 'key-users', 'keys', 'kmsg', 'kpagecgroup']
  .concat(['kpagecount', 'kpageflags', 'latency_stats', 'pagetypeinfo', 'sched_debug', 'scsi'])
  .concat(['slabinfo', 'sysrq-trigger', 'timer_list', 'timer_stats', 'vmallocinfo'])

/** Those that this kernel has: `files` and `folders` below /proc, each in one line with spaces between. */
export async function hiddenProc(): Promise<{ files: string; folders: string }> {
  const found = await Promise.all(
    HIDDEN_PROC.map(async name => ({ name, stats: await stat(`/proc/${name}`).catch(() => null) })),
  )
  const names = (folder: boolean) =>
    found
      .filter(({ stats }) => stats !== null && stats.isDirectory() === folder)
      .map(({ name }) => name)
      .join(' ')
  return { files: names(false), folders: names(true) }
}
