// Where the quickstart's reader lives: as root another uid, in folders of its own, with the program at a place it can enter.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A uid that owns nothing on a usual host, and is in no passwd file. */
const READER = 61_483

/**
 * Gives {base, publisher, reader, uid, launch(args)}: two private folders below `base`, and the command line by
 * which the reader starts the program.
 */
export function makePlace(checkout) {
  const uid = process.getuid() === 0 ? READER : null
  const base = makeBase(uid)
  const publisher = privateFolder(base, 'publisher', null)
  const reader = privateFolder(base, 'reader', uid)
  const program = join(checkout, 'dist/cli/repro.js')
  if (uid === null)
    return { base, publisher, reader, uid, launch: args => [process.execPath, [program, ...args]] }
  const node = realpathSync(process.execPath)
  const parts = [
    program,
    join(checkout, 'node_modules/hyperdrive/package.json'),
    join(checkout, 'package.json'),
  ]
  if (sees(uid, node, '-x') && parts.every(path => sees(uid, path, '-r'))) {
    const drop = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--']
    return {
      base,
      publisher,
      reader,
      uid,
      launch: args => ['setpriv', [...drop, node, program, ...args]],
    }
  }
  return {
    base,
    publisher,
    reader,
    uid,
    launch: args => behindMounts(base, checkout, node, uid, args),
  }
}

function makeBase(uid) {
  for (const parent of new Set([tmpdir(), '/tmp', '/var/tmp'])) {
    const base = mkdtempSync(join(parent, 'repro-quickstart-'))
    chmodSync(base, 0o711)
    if (uid === null || sees(uid, base, '-x')) return base
  }
  throw new Error(
    'neither the folder for temporary files nor /tmp nor /var/tmp can be entered by another user',
  )
}

function privateFolder(base, name, uid) {
  const folder = join(base, name)
  mkdirSync(folder, { mode: 0o700 })
  if (uid !== null) chownSync(folder, uid, uid)
  return folder
}

/** True when `test <how> path` holds for this uid: every folder on the way lets it pass. */
function sees(uid, path, how) {
  return asUid(uid, ['test', how, path]).status === 0
}

/** Runs a program as this uid, to see whether it can. */
export function asUid(uid, [command, ...args]) {
  const drop = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', command, ...args]
  const done = spawnSync('setpriv', drop, { encoding: 'utf8' })
  if (done.error)
    throw new Error(
      `cannot start setpriv (package util-linux), by which root becomes the reader: ${done.error.message}`,
    )
  return done
}

/** What of the checkout the reader needs. */
const NEEDED = ['package.json', 'dist', 'node_modules']

/**
 * The checkout or node lies where only root can go: both are shown to the reader read-only, in mounts that only
 * it sees. Where the files themselves are only root's (umask 077), the reader gets a copy.
 */
function behindMounts(base, checkout, node, uid, args) {
  const place = join(base, 'program')
  if (!existsSync(place)) {
    mkdirSync(join(place, 'checkout'), { recursive: true })
    writeFileSync(join(place, 'node'), '')
    if (onlyOwners(checkout)) {
      for (const name of NEEDED)
        cpSync(join(checkout, name), join(place, 'checkout', name), {
          recursive: true,
          verbatimSymlinks: true,
        })
    }
    spawnSync('chmod', ['-R', 'go=rX,u+rw', place])
  }
  const copied = existsSync(join(place, 'checkout/package.json'))
  const script = [
    'set -e',
    ...(copied
      ? []
      : ['mount --bind "$1" "$3/checkout"', 'mount -o remount,bind,ro "$3/checkout"']),
    'mount --bind "$2" "$3/node"',
    'mount -o remount,bind,ro "$3/node"',
    'place=$3 uid=$4',
    'shift 4',
    'exec setpriv --reuid="$uid" --regid="$uid" --clear-groups -- "$place/node" "$place/checkout/dist/cli/repro.js" "$@"',
  ].join('\n')
  const rest = ['sh', '-c', script, 'sh', checkout, node, place, String(uid), ...args]
  return ['unshare', ['--mount', '--propagation', 'private', '--', ...rest]]
}

function onlyOwners(checkout) {
  return ['package.json', 'dist/cli/repro.js', 'node_modules/hyperdrive/package.json'].some(
    path => (statSync(join(checkout, path)).mode & 0o004) === 0,
  )
}
