import { ExitCode } from './exit-codes.ts'
import { escapeControl } from './text.ts'

/**
 * Every code an error of ours can carry, with the exit code a command ends with.
 * docs/errors.md has a row for each; test/docs/errors.test.ts checks both ways.
 */
export const ERROR_CODES = {
  USAGE: ExitCode.usage,
  MANIFEST_INVALID: ExitCode.usage,
  MANIFEST_MISSING: ExitCode.usage,
  REFERENCE_INVALID: ExitCode.usage,
  PARAM_INVALID: ExitCode.usage,
  APP_UNKNOWN: ExitCode.usage,
  PATH_UNSAFE: ExitCode.usage,
  LINK_UNSAFE: ExitCode.usage,
  FILE_UNSUPPORTED: ExitCode.usage,
  SECRET_FOUND: ExitCode.usage,
  IMAGE_INVALID: ExitCode.usage,
  IMAGE_SOURCE: ExitCode.usage,
  PROGRAM_MISSING: ExitCode.usage,
  EXPECTATION_STALE: ExitCode.usage,
  CONFIG_INVALID: ExitCode.usage,
  FORMAT_UNSUPPORTED: ExitCode.usage,
  KEY_NOT_WRITABLE: ExitCode.usage,
  KEY_INVALID: ExitCode.usage,
  TAG_TAKEN: ExitCode.usage,
  TARGET_CHANGED: ExitCode.usage,
  READ_FAILED: ExitCode.failed,
  WRITE_FAILED: ExitCode.failed,
  DISK_FULL: ExitCode.failed,
  SOURCE_CHANGED: ExitCode.failed,
  STORE_BUSY: ExitCode.failed,
  STORE_INVALID: ExitCode.failed,
  LISTEN_FAILED: ExitCode.failed,
  PROCESS_FAILED: ExitCode.failed,
  INTERNAL: ExitCode.failed,
  PARTIAL: ExitCode.partial,
  NOT_FOUND: ExitCode.notFound,
  NO_PEER: ExitCode.notFound,
  SYNC_NEEDED: ExitCode.notFound,
  HASH_MISMATCH: ExitCode.verification,
  BLOCK_DAMAGED: ExitCode.verification,
  SIGNATURE_INVALID: ExitCode.verification,
  RECORD_INVALID: ExitCode.verification,
  HISTORY_REWRITTEN: ExitCode.verification,
  PEER_DISHONEST: ExitCode.verification,
  NO_RUNTIME: ExitCode.noRuntime,
  RUNTIME_FAILED: ExitCode.noRuntime,
  OUTPUT_DIFFERS: ExitCode.differs,
  APP_FAILED: ExitCode.appFailed,
  APP_TIMEOUT: ExitCode.appFailed,
  INTERRUPTED: ExitCode.interrupted,
} as const

export type ErrorCode = keyof typeof ERROR_CODES

export interface ErrorDetails {
  /** Further lines of the message, one for each thing that is wrong. */
  readonly lines?: readonly string[]
  /** Things to type or do next, one a line. */
  readonly hints?: readonly string[]
  /** Machine-readable facts, printed with `--json`. */
  readonly data?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/** The one error class: a stable code, a message for people, hints, and data for machines. */
export class ReproError extends Error {
  readonly code: ErrorCode
  readonly hints: readonly string[]
  readonly data: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(
      textOf(message, details.lines),
      details.cause === undefined ? {} : { cause: details.cause },
    )
    this.name = 'ReproError'
    this.code = code
    this.hints = details.hints ?? []
    this.data = details.data ?? {}
  }

  get exitCode(): ExitCode {
    return ERROR_CODES[this.code]
  }

  toJSON(): Record<string, unknown> {
    return { code: this.code, message: this.message, hints: this.hints, data: this.data }
  }
}

/** Only we begin lines: a line feed in what a stranger wrote is shown as `\x0a`. */
function textOf(message: string, lines: readonly string[] = []): string {
  return [message, ...lines].map(escapeControl).join('\n')
}

export function fail(code: ErrorCode, message: string, details: ErrorDetails = {}): never {
  throw new ReproError(code, message, details)
}

/** What the system says of a path, in words. */
const FILE_FAULTS = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or folder',
  EROFS: 'the file system is read-only',
  EISDIR: 'a folder is where a file must be',
  ENOTDIR: 'a file is where a folder must be',
  EEXIST: 'something else is there already',
} as const

/** Turns anything thrown into a ReproError; errno codes that users meet get their own code and hint. */
export function asReproError(error: unknown): ReproError {
  if (error instanceof ReproError) return error
  const e = error as NodeJS.ErrnoException
  if (e?.name === 'AbortError') return new ReproError('INTERRUPTED', 'interrupted', { cause: e })
  const where = e?.path ? ` at "${e.path}"` : ''
  if (e?.code === 'ENOSPC' || e?.code === 'EDQUOT') {
    return new ReproError('DISK_FULL', `no space left on the disk${where}`, {
      hints: [
        'free some space, or point REPRO_HOME and REPRO_CACHE to a larger disk, then repeat the command: it carries on',
      ],
      cause: e,
    })
  }
  if (e?.code !== undefined && e.code in FILE_FAULTS) {
    const what = FILE_FAULTS[e.code as keyof typeof FILE_FAULTS]
    return new ReproError(
      e.syscall === 'open' ||
        e.syscall === 'scandir' ||
        e.syscall === 'lstat' ||
        e.syscall === 'stat'
        ? 'READ_FAILED'
        : 'WRITE_FAILED',
      `${what}${where}`,
      { cause: e },
    )
  }
  return new ReproError('INTERNAL', e?.message ?? String(error), {
    hints: [
      'this is a fault of repro itself: please report it with the output of `repro doctor --json`',
    ],
    cause: error,
  })
}
