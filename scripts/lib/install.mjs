// What quickstart, test, check and bench need before they can start. Node's own modules only: nothing is installed yet.
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** What a build is made from; dist is as new as the newest of these, or it is made again. */
const SOURCES = ['src', 'cli', 'schemas', 'scripts/build.mjs', 'package.json', 'tsconfig.json']

/** Installs and builds what is missing or out of step. Throws with words when that fails. */
export function prepare({ say = () => {} } = {}) {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 12))
    throw new Error(`this is Node ${process.versions.node}; Node 20.12 or newer is needed`)
  const missing = outOfStep()
  if (missing) {
    say(`installing packages: ${missing}`)
    command('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'])
    const still = outOfStep()
    if (still) throw new Error(`npm install ran, and still: ${still}`)
  }
  const stale = outOfDate()
  if (stale) {
    say(`building: ${stale}`)
    command(process.execPath, ['scripts/build.mjs'])
  }
}

/** Why node_modules is not what the lockfile says, or null. */
function outOfStep() {
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const noted = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(noted)) return 'node_modules is missing'
  const here = JSON.parse(readFileSync(noted, 'utf8')).packages
  for (const [path, { version, optional, peer }] of Object.entries(wanted)) {
    if (path === '' || here[path]?.version === version) continue
    if (here[path] === undefined && (optional || peer)) continue
    return `${path} is ${here[path]?.version ?? 'missing'}, the lockfile says ${version}`
  }
  return null
}

/** Why dist has to be built, or null. */
function outOfDate() {
  const built = ['dist/cli/repro.js', 'dist/src/index.js'].map(path => join(root, path))
  if (!built.every(existsSync)) return 'there is no dist yet'
  const oldest = Math.min(...built.map(path => lstatSync(path).mtimeMs))
  const newer = SOURCES.map(path => newerThan(join(root, path), oldest)).find(path => path !== null)
  return newer ? `${newer.slice(root.length + 1)} is newer than dist` : null
}

function newerThan(path, timeMs) {
  const info = lstatSync(path, { throwIfNoEntry: false })
  if (!info) return null
  if (info.mtimeMs > timeMs) return path
  if (!info.isDirectory() || path.endsWith('schemas/json')) return null
  for (const name of readdirSync(path)) {
    const found = newerThan(join(path, name), timeMs)
    if (found) return found
  }
  return null
}

/** Runs a command in the checkout, its output on our stderr. Throws when it fails. */
function command(name, args) {
  const { status, signal, error } = spawnSync(name, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (error) throw new Error(`cannot start ${name}: ${error.message}`)
  if (status !== 0)
    throw new Error(`${[name, ...args].join(' ')} ended with ${signal ?? `code ${status}`}`)
}
