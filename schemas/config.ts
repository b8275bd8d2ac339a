import { z } from 'zod'
import { durationText, runtimeNames } from './author-manifest.ts'

const hostPort = z
  .string()
  .regex(/^(\[[0-9A-Fa-f:.]+(%[\w.-]+)?\]|[A-Za-z0-9._-]+):\d{1,5}$/, 'expected host:port')

/** `config.yaml` in a home, and the site's `/etc/repro/config.yaml`. Every field may be absent. */
export const configFile = z.strictObject({
  /** Only in the site's file: where each user's home is. `${NAME}` stands for an environment variable. */
  home: z.string().min(1).optional(),
  /** What can be made again at any time. `${NAME}` stands for an environment variable. */
  cache: z.string().min(1).optional(),
  network: z
    .strictObject({
      /** `public`, `none`, or the lab's own DHT nodes. */
      bootstrap: z.union([z.enum(['public', 'none']), z.array(hostPort).min(1).max(64)]).optional(),
      /** Peers that are dialled directly over TCP. */
      peers: z.array(hostPort).max(64).optional(),
      /** Where `repro share` accepts direct TCP peers. */
      listen: hostPort.optional(),
      /** How long peers are looked for: `15s`. */
      wait: durationText.optional(),
    })
    .optional(),
  /** The order in which runtimes are tried. */
  runtimes: z.array(z.enum(runtimeNames)).optional(),
})
export type ConfigFile = z.infer<typeof configFile>
