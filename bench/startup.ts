import { measure } from './lib/measure.ts'
import { report } from './lib/report.ts'

// How long the command takes to say its version, against a Node that does nothing.
const node = process.execPath
const samples = measure(
  [
    { name: 'node -e 0', argv: [node, '-e', '0'] },
    { name: 'repro --version', argv: [node, 'dist/cli/repro.js', '--version'] },
    { name: 'repro --help', argv: [node, 'dist/cli/repro.js', '--help'] },
  ],
  15,
)
const met = report({
  bench: 'startup',
  samples,
  figures: [
    {
      what: 'repro --version',
      ours: 'repro --version',
      peer: 'node -e 0',
      must: { ratio: 2.5 },
    },
  ],
  absent: [],
})
process.exitCode = met ? 0 : 1
