import { readFile } from 'node:fs/promises'
import type { Check } from '../../../schemas/index.ts'
import { runCommand } from '../../system/process.ts'
import { which } from '../../system/which.ts'
import { makeCheck } from '../check.ts'

const readSetting = async (path: string) =>
  (await readFile(`/proc/sys/${path}`, 'utf8').catch(() => '')).trim()

/** User namespaces, by really making one; and the settings that forbid them. */
export async function checkUserNamespaces(signal?: AbortSignal): Promise<Check> {
  const name = 'user namespaces'
  const [limit, appArmor, clone, tried] = await Promise.all([
    readSetting('user/max_user_namespaces'),
    readSetting('kernel/apparmor_restrict_unprivileged_userns'),
    readSetting('kernel/unprivileged_userns_clone'),
    tryUnshare(['--user', '--map-root-user', '--mount'], signal),
  ])
  if (tried === null) return makeCheck(name, 'ok', `can be made, at most ${limit || 'unlimited'}`)
  if (limit === '0')
    return makeCheck(name, 'bad', 'switched off: user.max_user_namespaces is 0', {
      remedies: ['as administrator: sysctl -w user.max_user_namespaces=15000'],
    })
  if (clone === '0')
    return makeCheck(name, 'bad', 'switched off: kernel.unprivileged_userns_clone is 0', {
      remedies: ['as administrator: sysctl -w kernel.unprivileged_userns_clone=1'],
    })
  if (appArmor === '1')
    return makeCheck(name, 'bad', 'restricted by AppArmor', {
      detail: tried,
      remedies: [
        'as administrator: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
        'or give bubblewrap alone a profile: see docs/runtimes.md',
      ],
    })
  return makeCheck(name, 'bad', 'cannot be made', {
    detail: tried,
    remedies: [
      'inside of Docker: start the container with --security-opt seccomp=unconfined --security-opt systempaths=unconfined',
      'elsewhere: ask the administrator, with docs/runtimes.md',
    ],
  })
}

/** Network namespaces, by really making one; and whether its loopback can be brought up without bubblewrap. */
export async function checkNetworkNamespaces(signal?: AbortSignal): Promise<Check> {
  const name = 'network namespaces'
  const [tried, ip, ifconfig] = await Promise.all([
    tryUnshare(['--user', '--map-root-user', '--net'], signal),
    which('ip'),
    which('ifconfig'),
  ])
  if (tried !== null) return makeCheck(name, 'bad', 'cannot be made', { detail: tried })
  if (ip ?? ifconfig) return makeCheck(name, 'ok', 'can be made')
  return makeCheck(name, 'warn', 'can be made, but their loopback stays down under "unshare"', {
    detail: 'apps that speak to themselves over 127.0.0.1 need the program ip',
    remedies: ['as administrator: apt-get install iproute2 (RHEL: dnf install iproute)'],
  })
}

/** Null when it worked, else what unshare said. */
async function tryUnshare(flags: readonly string[], signal?: AbortSignal): Promise<string | null> {
  const unshare = await which('unshare')
  if (!unshare) return 'the program unshare is missing'
  const result = await runCommand([unshare, ...flags, '--', 'true'], {
    timeoutMs: 10_000,
    ...(signal ? { signal } : {}),
  })
  return result.code === 0 ? null : result.stderr.trim().slice(0, 300) || 'it failed without a word'
}
