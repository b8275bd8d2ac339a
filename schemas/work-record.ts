import { z } from 'zod'

/**
 * One step of long work. Text, `--json`, Ink and web are renderings of one stream of these.
 * `progress` may repeat; `result` ends the stream of a command.
 */
export const workRecord = z.object({
  action: z.enum([
    'hash',
    'image',
    'store',
    'index',
    'release',
    'connect',
    'peer',
    'fetch',
    'verify',
    'write',
    'unpack',
    'probe',
    'stage',
    'execute',
    'stdout',
    'stderr',
    'compare',
    'share',
    'announce',
    'check',
    'progress',
    /** One thing of a listing: a file, a release, a difference, a run. */
    'entry',
    'note',
    'warning',
    'result',
    'error',
  ]),
  status: z.enum(['start', 'ok', 'unchanged', 'skipped', 'warn', 'error']).optional(),
  /** The thing concerned: a path, an image, a peer, a runtime. */
  subject: z.string().optional(),
  message: z.string().optional(),
  /** Of an `error` record: its code, see docs/errors.md. */
  code: z.string().optional(),
  hints: z.array(z.string()).optional(),
  /** Done and expected so far, of this phase. */
  bytes: z.number().optional(),
  totalBytes: z.number().optional(),
  files: z.number().optional(),
  totalFiles: z.number().optional(),
  peers: z.number().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
})
export type WorkRecord = z.infer<typeof workRecord>
