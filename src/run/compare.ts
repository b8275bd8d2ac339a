import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { OutputResult, ResolvedOutput } from '../../schemas/index.ts'
import { formatBytes } from '../core/text.ts'
import { createBlake3 } from '../system/blake3.ts'
import type { Difference } from './compare/difference.ts'
import { ignoring, PatternsTooSlow } from './compare/ignored-lines.ts'
import { openOutput } from './compare/open-output.ts'

const HASH_BYTES = 1 << 20
/** An output without a known size, and beyond what a comparison would end with in reasonable time. */
const MAX_UNKNOWN_BYTES = 2 ** 40
const GROWTH = 16
const ROOM_BYTES = 2 ** 30

export interface CompareOptions {
  /** Where the outputs lie. */
  readonly out: string
  /** Where the bytes of an expectation lie on this host, or null when only its hash is known. */
  readonly locate: (blake3: string) => string | null
  /** Why nothing is compared (the reader's own data), or absent. */
  readonly skip?: string
  /** How long all patterns of an output may take together; a minute when not given. */
  readonly patternBudgetMs?: number
  readonly signal?: AbortSignal
}

/**
 * Compares one declared output with its expectation. Never throws for what the app left behind, only what `signal`
 * was aborted with.
 */
export async function compareOutput(
  output: ResolvedOutput,
  options: CompareOptions,
): Promise<OutputResult> {
  const expected = output.compare === 'exists' ? null : (output.expect?.blake3 ?? null)
  const base = { path: output.path, compare: output.compare, blake3: null, size: null, expected }
  const opened = await openOutput(options.out, output.path)
  if (opened.kind === 'missing')
    return output.optional
      ? { ...base, status: 'not compared', message: 'optional, and not written' }
      : { ...base, status: 'missing', message: 'the app did not write it' }
  if (opened.kind === 'folder')
    return output.compare === 'exists'
      ? { ...base, status: options.skip === undefined ? 'equal' : 'not compared' }
      : { ...base, status: 'unexpected type', message: 'is a folder where a file was expected' }
  if (opened.kind === 'unexpected')
    return { ...base, status: 'unexpected type', message: opened.message }
  try {
    const limit = sizeLimit(output)
    if (opened.size > limit)
      return {
        ...base,
        size: opened.size,
        status: 'unexpected type',
        message: `has ${formatBytes(opened.size)}: more than the ${formatBytes(limit)} that are compared`,
      }
    const blake3 = await hashHandle(opened.handle, options.signal)
    const found = { ...base, blake3, size: opened.size }
    if (options.skip !== undefined)
      return { ...found, status: 'not compared', message: options.skip }
    if (output.compare === 'exists') return { ...found, status: 'equal' }
    if (expected === null)
      return { ...found, status: 'not compared', message: 'no expectation is recorded for it' }
    if (blake3 === expected) return { ...found, status: 'equal' }
    return { ...found, ...(await difference(output, opened.handle, expected, options)) }
  } finally {
    await opened.handle.close()
  }
}

function sizeLimit(output: ResolvedOutput): number {
  const size = output.compare === 'exists' ? undefined : output.expect?.size
  return size === undefined ? MAX_UNKNOWN_BYTES : size * GROWTH + ROOM_BYTES
}

async function difference(
  output: Exclude<ResolvedOutput, { compare: 'exists' }>,
  found: FileHandle,
  expected: string,
  { locate, signal, patternBudgetMs }: CompareOptions,
): Promise<Difference> {
  const path = locate(expected)
  if (path === null)
    return {
      status: 'differs',
      message: `has another hash than blake3:${expected}; the expected bytes are not in the bundle, so where it differs is not known`,
    }
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    if (output.compare === 'exact') {
      const { compareExact } = await import('./compare/exact.ts')
      return await compareExact(found, handle, signal)
    }
    const ignored = ignoring(await compilePatterns(output), {
      ...(signal ? { signal } : {}),
      ...(patternBudgetMs === undefined ? {} : { patternBudgetMs }),
    })
    if (output.compare === 'text') {
      const { compareText } = await import('./compare/text.ts')
      return await compareText(found, handle, ignored, signal)
    }
    const { compareTable } = await import('./compare/table.ts')
    const { rtol, atol, delimiter } = output
    const rule = { rtol, atol, ignored, ...(delimiter === undefined ? {} : { delimiter }) }
    return await compareTable(found, handle, rule, signal)
  } catch (error) {
    if (!(error instanceof PatternsTooSlow)) throw error
    return {
      status: 'differs',
      message: `has another hash than blake3:${expected}; ${error.message}, so where it differs is not known`,
    }
  } finally {
    await handle.close()
  }
}

/** The patterns of an output, compiled. Throws MANIFEST_INVALID: `plan` asks for this before anything runs. */
export async function compilePatterns(output: ResolvedOutput) {
  if (output.compare === 'exact' || output.compare === 'exists' || output.ignore.length === 0)
    return []
  const { compileLinePattern } = await import('../core/line-pattern.ts')
  return output.ignore.map(compileLinePattern)
}

async function hashHandle(handle: FileHandle, signal?: AbortSignal): Promise<string> {
  const hasher = createBlake3()
  const buffer = Buffer.allocUnsafe(HASH_BYTES)
  let position = 0
  for (;;) {
    signal?.throwIfAborted()
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position)
    if (bytesRead === 0) return hasher.hex()
    hasher.update(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
}
