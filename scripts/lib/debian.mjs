// Debian packages that some tests use. Only root on Debian or its kin installs them; elsewhere those tests are skipped with words.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** What to install, and the program by which its presence is seen. */
const PACKAGES = {
  bubblewrap: '/usr/bin/bwrap',
  podman: '/usr/bin/podman',
  runc: '/usr/sbin/runc',
  uidmap: '/usr/bin/newuidmap',
  mmdebstrap: '/usr/bin/mmdebstrap',
  mawk: '/usr/bin/mawk',
  gawk: '/usr/bin/gawk',
  tmux: '/usr/bin/tmux',
  strace: '/usr/bin/strace',
  binutils: '/usr/bin/readelf',
  busybox: '/bin/busybox',
  'util-linux': '/usr/bin/unshare',
}

/** What the archive bench compares with; GNU time measures CPU and memory. */
const BENCH_PACKAGES = {
  restic: '/usr/bin/restic',
  borgbackup: '/usr/bin/borg',
  bup: '/usr/bin/bup',
  b3sum: '/usr/bin/b3sum',
  time: '/usr/bin/time',
}

/** Installs what tests lack where that is possible; says what it did, or why not. */
export function installDebianPackages(say) {
  install(PACKAGES, 'Tests that need them are skipped', say)
}

/** The same for the archive bench. */
export function installBenchPackages(say) {
  install(BENCH_PACKAGES, 'Their cells of the table stay empty', say)
}

function install(packages, without, say) {
  const absent = Object.entries(packages).flatMap(([name, path]) =>
    existsSync(path) ? [] : [name],
  )
  if (absent.length === 0) return
  const names = absent.join(' ')
  if (!existsSync('/usr/bin/apt-get')) return say(`not here, and there is no apt-get: ${names}`)
  if (process.getuid() !== 0)
    return say(`not here: ${names}. ${without}; to have them: sudo apt-get install ${names}`)
  say(`installing Debian packages: ${names}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const command = ['install', '-y', '-qq', '--no-install-recommends', ...absent]
  if (
    aptGet(command, env) !== 0 &&
    (aptGet(['update', '-qq'], env) !== 0 || aptGet(command, env) !== 0)
  )
    say(`apt-get could not install ${names}. ${without}`)
}

function aptGet(args, env) {
  return spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...args], {
    stdio: ['ignore', 'ignore', 2],
    env,
  }).status
}
