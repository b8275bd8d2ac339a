import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import type { Check } from '../../../schemas/index.ts'
import { which } from '../../system/which.ts'
import { makeCheck } from '../check.ts'

/** Ranges of uids for this user and the program that maps them; only podman with several users in an image needs them. */
export async function checkSubordinateIds(uid: number): Promise<Check> {
  const name = 'subordinate uids'
  if (uid === 0) return makeCheck(name, 'info', 'not needed by root')
  const [uids, gids, newuidmap, newgidmap] = await Promise.all([
    countIds('/etc/subuid', uid),
    countIds('/etc/subgid', uid),
    which('newuidmap'),
    which('newgidmap'),
  ])
  const remedies = [
    ...(newuidmap && newgidmap
      ? []
      : ['as administrator: apt-get install uidmap (RHEL: dnf install shadow-utils)']),
    ...(uids > 0 && gids > 0
      ? []
      : [
          `as administrator: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${userName(uid)}`,
        ]),
  ]
  if (remedies.length === 0) return makeCheck(name, 'ok', `${uids} uids and ${gids} gids`)
  return makeCheck(name, 'info', uids > 0 ? 'newuidmap is missing' : 'none for this user', {
    detail: 'podman then shows the app as root to itself; nothing else needs them',
    remedies,
  })
}

async function countIds(path: string, uid: number): Promise<number> {
  const names = [String(uid), userName(uid)]
  const text = await readFile(path, 'utf8').catch(() => '')
  return text
    .split('\n')
    .map(line => line.split(':'))
    .filter(([owner = '']) => names.includes(owner))
    .reduce((sum, [, , count = '0']) => sum + Number(count), 0)
}

function userName(uid: number): string {
  try {
    return userInfo().username
  } catch {
    return String(uid) // a uid without an entry in the passwd database
  }
}
