#!/usr/bin/env node
// The door of the command. `--version` is answered here, before anything else is loaded.
import process from 'node:process'

declare const __REPRO_VERSION__: string | undefined

const argv = process.argv.slice(2)
const version = typeof __REPRO_VERSION__ === 'undefined' ? '0.0.0-source' : __REPRO_VERSION__

if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
  process.stdout.write(`${version}\n`)
} else {
  const { main } = await import('./main.ts')
  process.exit(await main(argv, version))
}
