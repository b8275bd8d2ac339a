// `npm run check`: types, lint and format, layers, unused code. All run; any failure fails.
import { spawnSync } from 'node:child_process'
import { prepare } from './lib/install.mjs'

prepare({ say: text => console.error(`check: ${text}`) })
const bin = name => `node_modules/.bin/${name}`
const STEPS = [
  ['types', bin('tsc'), ['--noEmit']],
  ['lint and format', bin('biome'), ['check', '--error-on-warnings', '.']],
  ['layers', bin('vitest'), ['run', 'test/layers.test.ts']],
  ['unused code', bin('knip'), []],
]
const failed = []
for (const [name, command, args] of STEPS) {
  const { status } = spawnSync(command, args, { stdio: 'inherit' })
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name}`)
  if (status !== 0) failed.push(name)
}
if (failed.length > 0) {
  console.log(`check failed: ${failed.join(', ')}`)
  process.exit(1)
}
