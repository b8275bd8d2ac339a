import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const REPO = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
/** The built command; `npm test` builds it first. */
export const REPRO = join(REPO, 'dist/cli/repro.js')

if (!existsSync(REPRO)) throw new Error(`"${REPRO}" is not built: npm run build`)
