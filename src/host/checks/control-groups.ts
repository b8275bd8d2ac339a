import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Check } from '../../../schemas/index.ts'
import { formatBytes } from '../../core/text.ts'
import { controlGroupMemoryLimit } from '../../system/host-facts.ts'
import { makeCheck } from '../check.ts'

const readText = (path: string) => readFile(path, 'utf8').catch(() => '')

/** Which control groups there are, and whether we may make some of our own to hold limits. */
export async function checkControlGroups(): Promise<Check> {
  const name = 'control groups'
  const [mounts, own] = await Promise.all([
    readText('/proc/self/mounts'),
    readText('/proc/self/cgroup'),
  ])
  const v2 = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1]
  const v1 = [...mounts.matchAll(/^\S+ (\S+) cgroup (\S+)/gm)]
  if (!v2 && v1.length === 0)
    return makeCheck(name, 'warn', 'none are mounted', {
      detail: 'limits of memory and processors are recorded, not enforced',
    })
  const version = v2 ? (v1.length > 0 ? 'hybrid (v1 and v2)' : 'v2') : 'v1'
  const limit = await controlGroupMemoryLimit()
  const detail = limit === null ? null : `our own group may use ${formatBytes(limit)} of memory`
  if (v2 && v1.length === 0) {
    const path = /^0::(.*)$/m.exec(own)?.[1] ?? '/'
    const folder = join(v2, path)
    const [controllers, writable] = await Promise.all([
      readText(join(folder, 'cgroup.controllers')),
      isWritable(folder),
    ])
    const list = controllers.trim() || 'no controllers'
    return makeCheck(name, writable ? 'ok' : 'info', `${version}: ${list}`, {
      detail: writable ? detail : (detail ?? 'not delegated to us: limits need podman'),
      remedies: writable
        ? []
        : ['log in with a systemd session, or as administrator: loginctl enable-linger USER'],
    })
  }
  const writable = await isWritable(/^\S+ (\S+) cgroup \S*\bmemory\b/m.exec(mounts)?.[1] ?? '/sys')
  return makeCheck(name, writable ? 'ok' : 'info', version, {
    detail: detail ?? (writable ? null : 'only root can set limits with v1'),
  })
}

const isWritable = (path: string) =>
  access(path, constants.W_OK).then(
    () => true,
    () => false,
  )
