// `npm run bench [-- name … [--flag …]]`: each workload against a named peer in the same run; all of them without a name.
// What begins with the first flag goes to the workloads (archive has some, see CONTRIBUTING).
// Tables on the screen, raw samples in bench/results/<name>.json. Exit 1 when a figure that must be met is not.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { installBenchPackages } from './lib/debian.mjs'
import { prepare, root } from './lib/install.mjs'

const say = text => console.error(`bench: ${text}`)
const given = process.argv.slice(2)
const firstFlag = given.findIndex(word => word.startsWith('-'))
const asked = firstFlag < 0 ? given : given.slice(0, firstFlag)
const flags = firstFlag < 0 ? [] : given.slice(firstFlag)

prepare({ say })
const known = readdirSync(join(root, 'bench'))
  .filter(name => name.endsWith('.ts'))
  .map(name => name.slice(0, -3))
const unknown = asked.filter(name => !known.includes(name))
if (unknown.length > 0) {
  console.error(`bench: there is no workload ${unknown.join(', ')}; there are ${known.join(', ')}`)
  process.exit(2)
}
if (asked.length === 0 || asked.includes('archive')) installBenchPackages(say)
for (const name of asked.length > 0 ? asked : known) {
  const typescript = join(root, 'test/helpers/typescript.mjs')
  const args = [
    '--no-warnings',
    '--import',
    typescript,
    join(root, 'bench', `${name}.ts`),
    ...flags,
  ]
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
