// `npm test [-- vitest arguments]`: installs what is missing, builds, runs every test, says what was skipped and why.
// With CI=true a skip that test/expected-skips.json does not list is a failure. The last line: N passed, N failed, N skipped
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { installDebianPackages } from './lib/debian.mjs'
import { prepare, root } from './lib/install.mjs'
import { node24 } from './lib/node-24.mjs'

const say = text => console.error(`test: ${text}`)
const strict = process.env.CI === 'true'

try {
  prepare({ say })
} catch (error) {
  console.error(`test failed: ${error.message}`)
  process.exit(1)
}
installDebianPackages(say)

const scratch = join(root, '.repro-test')
mkdirSync(scratch, { recursive: true })
const report = join(scratch, `report-${process.pid}.json`)
const status = await runVitest(process.argv.slice(2), {
  ...process.env,
  REPRO_TEST_REPORT: report,
  REPRO_TEST_NODE24: node24(say) ?? '',
})

if (!existsSync(report)) {
  console.error(`test failed: vitest ended with ${status} and left no report`)
  process.exit(status === 0 ? 1 : (status ?? 1))
}
const { passed, failed, skipped } = JSON.parse(readFileSync(report, 'utf8'))
rmSync(report)

const expected = JSON.parse(readFileSync(join(root, 'test/expected-skips.json'), 'utf8'))
const unexpected = skipped.filter(({ name }) => expected[name] === undefined)
for (const { name, reason } of skipped) {
  const mark = expected[name] === undefined ? '' : ' (expected)'
  console.log(`skipped${mark}: ${name}: ${expected[name] ?? reason}`)
}
for (const name of failed) console.log(`failed: ${name}`)
if (strict && unexpected.length > 0)
  console.log(
    `${unexpected.length} skipped that test/expected-skips.json does not list: with CI=true that is a failure`,
  )
if (passed.length === 0) console.log('no test ran: that is a failure')
console.log(`${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`)

const fine =
  status === 0 && failed.length === 0 && passed.length > 0 && !(strict && unexpected.length > 0)
process.exitCode = fine ? 0 : status || 1

function runVitest(args, env) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const reporters = [
    '--reporter=default',
    `--reporter=${join(root, 'scripts/lib/counting-reporter.mjs')}`,
  ]
  const child = spawn(process.execPath, [vitest, 'run', ...reporters, ...args], {
    cwd: root,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  // Ctrl-C reaches vitest by the terminal too: we wait for it, to leave nothing behind.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  return new Promise(resolve => {
    child.on('close', code => resolve(code ?? 1))
  })
}
