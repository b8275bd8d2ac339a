import type { ExitCode } from '../src/core/exit-codes.ts'

/** What each exit code means, for the help of commands. */
export const EXIT_CODE_LINES: Record<ExitCode, string> = {
  0: 'ok',
  1: 'failed (also: the store is in use, the disk is full)',
  2: 'usage, manifest or parameter wrong',
  3: 'partly done',
  4: 'not found, or no peer',
  5: 'verification failed',
  6: 'no runtime fits',
  7: 'outputs differ',
  8: 'the app itself failed, timed out or ran out of memory',
  130: 'interrupted',
}
