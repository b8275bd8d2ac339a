import { asReproError, ReproError } from '../core/errors.ts'
import { freeBytes } from '../system/disk-space.ts'
import { GROUP_BYTES } from './limits.ts'

/** Storage needs about two groups of blocks free; with less, a write that failed without a reason failed for this. */
const FULL_BELOW_BYTES = 2 * GROUP_BYTES

/** True when the disk of `folder` has no room left to store a bundle. */
export function isDiskFull(folder: string): boolean {
  const free = freeBytes(folder)
  return free !== null && free < FULL_BELOW_BYTES
}

export function diskFull(cause?: unknown): ReproError {
  return new ReproError('DISK_FULL', 'no space left on the disk of the store', {
    hints: [
      'free some space, or point REPRO_HOME to a larger disk, then repeat the command: it carries on',
    ],
    cause,
  })
}

/** Turns what Holepunch's packages throw while reading or writing into errors of ours; ours pass through. */
export function storeError(error: unknown, subject: string, folder?: string): ReproError {
  if (error instanceof ReproError) return error
  const { code, message = String(error) } = error as { code?: string; message?: string }
  if (/no space left|ENOSPC|disk quota|EDQUOT/i.test(message)) return diskFull(error)
  if (/Batch was not applied|I\/?O error/i.test(message)) {
    if (folder !== undefined && isDiskFull(folder)) return diskFull(error)
    return new ReproError('WRITE_FAILED', `the store cannot be written: ${message}`, {
      hints: ['check the disk and its free space, then repeat the command: it carries on'],
      cause: error,
    })
  }
  if (code === 'BLOCK_NOT_AVAILABLE')
    return new ReproError('NO_PEER', `not all of "${subject}" that is needed is here`, {
      hints: ['repeat the command without --offline'],
      cause: error,
    })
  if (code === 'DECODING_ERROR' || /decod|Unexpected token|in JSON/i.test(message))
    return new ReproError('RECORD_INVALID', `the drive of "${subject}" holds what cannot be read`, {
      cause: error,
    })
  if (code === 'SESSION_CLOSED' || code === 'REQUEST_CANCELLED' || /closed/i.test(message))
    return new ReproError('INTERRUPTED', `the store was closed while "${subject}" was read`, {
      cause: error,
    })
  if (isDamage(error))
    return new ReproError('STORE_INVALID', `the store is damaged on disk: ${message}`, {
      hints: [
        `while a peer shares it, bad bytes are fetched anew by: repro verify ${subject} --repair`,
        'where that does not help, the whole store is made anew from peers by: repro repair store',
        'a bundle of your own: restore the home from a backup, or publish again with --new',
      ],
      data: { damaged: true },
      cause: error,
    })
  return asReproError(error)
}

/** True for what the store throws when the disk does not take what is written. */
export function isWriteFault(error: unknown, subject: string): boolean {
  return ['DISK_FULL', 'WRITE_FAILED'].includes(storeError(error, subject).code)
}

/** True for what the store throws when bytes on disk are not those that were written. */
export function isDamage(error: unknown): boolean {
  if (error instanceof ReproError) return error.code === 'BLOCK_DAMAGED'
  const { message = String(error) } = error as { message?: string }
  return /CRC mismatch|checksum|corrupt/i.test(message)
}

/** Says why a store could not be opened. */
export function openError(error: unknown, folder: string, holder: string | null): ReproError {
  const message = (error as Error)?.message ?? String(error)
  if (/could not be locked|lock hold by current process|LOCK: /i.test(message)) {
    return new ReproError(
      'STORE_BUSY',
      `the store at "${folder}" is in use by ${holder ?? 'another process'}`,
      {
        hints: [
          'wait until it ends, or stop it (Ctrl-C in its terminal), then repeat the command',
          'for work beside it, set REPRO_HOME to another folder',
        ],
        data: { folder, holder },
        cause: error,
      },
    )
  }
  if ((error as { code?: string })?.code === 'DEVICE_FILE') {
    return new ReproError(
      'STORE_INVALID',
      `the store at "${folder}" is a copy: it was copied, restored from a backup, or moved here from another disk`,
      {
        hints: [
          'two copies that are both written give a bundle two histories, and readers then refuse it',
          'if the first one is still there, use it: set REPRO_HOME to its home; mv within one disk is safe',
          `if the first one is gone for good: rm "${folder}/CORESTORE", then repeat the command; own bundles ask their peers before they are written`,
          'to publish from a second machine, move the key alone: repro key export, repro key import',
        ],
        data: { folder },
        cause: error,
      },
    )
  }
  if (/Another corestore is stored here/.test(message)) {
    return new ReproError('STORE_INVALID', `the store at "${folder}" belongs to another seed`, {
      hints: ['restore the seed beside it from a backup, or set REPRO_HOME to a new folder'],
      cause: error,
    })
  }
  if (/no space left|ENOSPC/i.test(message)) return storeError(error, folder)
  if (/corrupt|checksum|CRC/i.test(message))
    return new ReproError('STORE_INVALID', `the store at "${folder}" is damaged: ${message}`, {
      hints: ['check the disk; what came from peers can be fetched again into a new home'],
      cause: error,
    })
  return asReproError(error)
}
