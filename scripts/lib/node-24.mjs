// Node 24 for the tests, from the npm package `node-<platform>-<arch>`, which is what the package `node` installs. It is no
// devDependency: its `node` in node_modules/.bin would take the place of the Node that npm scripts run on.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './install.mjs'

const VERSION = '24.21.0'

/** The path of a Node 24, installed when it is missing; null, with words, where that cannot be. */
export function node24(say) {
  const prefix = join(root, '.repro-test', `node-${VERSION}`)
  const name = `node-${process.platform}-${process.arch}`
  const path = join(prefix, 'node_modules', name, 'bin/node')
  if (works(path)) return path
  say(`installing ${name}@${VERSION} for the tests on Node 24`)
  const args = [
    'install',
    '--prefix',
    prefix,
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  spawnSync('npm', [...args, `${name}@${VERSION}`], { cwd: root, stdio: ['ignore', 2, 2] })
  if (works(path)) return path
  say(`${name}@${VERSION} could not be installed: tests on Node 24 are skipped`)
  return null
}

function works(path) {
  return (
    existsSync(path) &&
    spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout?.trim() === `v${VERSION}`
  )
}
