// `npm run soak [-- <first seed> <count>]`: kills commands at random moments, seed after seed (test/faults/rounds.ts), and prints
// how many kills came in which phase. One seed takes about ten seconds; 100 seeds from 0 without arguments. No part of CI.
import { spawnSync } from 'node:child_process'
import process from 'node:process'
import { prepare, root } from './lib/install.mjs'

const [first = 0, count = 100, ...more] = process.argv.slice(2).map(Number)
if (more.length > 0 || !Number.isInteger(first) || !Number.isInteger(count) || count < 1) {
  console.error('soak: npm run soak -- <first seed> <how many seeds>')
  process.exit(2)
}
prepare({ say: text => console.error(`soak: ${text}`) })
const { status } = spawnSync(
  'node_modules/.bin/vitest',
  ['run', 'test/faults/sigkill.test.ts', '--disable-console-intercept'],
  {
    cwd: root,
    env: { ...process.env, REPRO_SOAK_FIRST: String(first), REPRO_SOAK_COUNT: String(count) },
    stdio: 'inherit',
  },
)
process.exitCode = status ?? 1
