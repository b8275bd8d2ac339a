import type { RuntimeReport } from '../../schemas/index.ts'
import { escapeControl } from '../core/text.ts'
import { runCommand } from '../system/process.ts'
import type { FailureText } from './failure-texts.ts'
import type { RuntimeAdapter } from './types.ts'

type Found = Partial<Pick<RuntimeReport, 'binary' | 'version' | 'facts'>>

/** The report of a runtime as it is taken to work; a probe tries it before it is handed out. */
export function workingReport(adapter: RuntimeAdapter, found: Found = {}): RuntimeReport {
  return {
    name: adapter.name,
    works: true,
    fidelity: adapter.fidelity,
    version: found.version ?? null,
    binary: found.binary ?? null,
    reason: null,
    remedies: [],
    startMs: null,
    facts: found.facts ?? {},
  }
}

/** The report of a runtime that cannot run here, with the reason and what to type. */
export function brokenReport(
  adapter: RuntimeAdapter,
  failure: FailureText,
  found: Found = {},
): RuntimeReport {
  return {
    ...workingReport(adapter, found),
    works: false,
    reason: escapeControl(failure.reason),
    remedies: [...failure.remedies],
  }
}

/** First number of the form `1.2` or `1.2.3` that the program prints about its version; null when it prints none. */
export async function readVersion(argv: readonly string[]): Promise<string | null> {
  const { stdout } = await runCommand(argv, {
    timeoutMs: 10_000,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: '/', LC_ALL: 'C' },
  })
  return /\d+(\.\d+)+/.exec(stdout)?.[0] ?? null
}

/** True when a dotted version is at least `major.minor`. */
export function isAtLeast(version: string | null, major: number, minor: number): boolean {
  const [foundMajor = 0, foundMinor = 0] = (version ?? '').split('.').map(Number)
  return foundMajor > major || (foundMajor === major && foundMinor >= minor)
}
