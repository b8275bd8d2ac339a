import { readFile } from 'node:fs/promises'

/** What names the present run of this machine's kernel: another one means that power was lost or the machine was restarted. Null where that cannot be told. */
export async function readBootId(): Promise<string | null> {
  const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  return /^[0-9a-f-]{36}$/.exec(text.trim())?.[0] ?? null
}
