import { z } from 'zod'
import { authorManifest } from './author-manifest.ts'
import { capturesFile } from './captures.ts'
import { configFile } from './config.ts'
import { indexEntry, segmentLine } from './content-index.ts'
import { hostReport } from './host.ts'
import { manifest } from './manifest.ts'
import { receipt } from './receipt.ts'
import { recordedFile } from './recorded.ts'
import {
  bundleFile,
  checkoutFile,
  ownBundleFile,
  releaseRecord,
  seenFile,
  writingFile,
} from './release.ts'
import { stageFile } from './stage.ts'
import { workRecord } from './work-record.ts'

/** Every record that is written down, by the name of its JSON Schema. */
export const RECORDS = {
  'author-manifest': authorManifest,
  'bundle-file': bundleFile,
  captures: capturesFile,
  'checkout-file': checkoutFile,
  config: configFile,
  'host-report': hostReport,
  'index-entry': indexEntry,
  manifest,
  receipt,
  'own-bundle-file': ownBundleFile,
  'writing-file': writingFile,
  recorded: recordedFile,
  'release-record': releaseRecord,
  'seen-file': seenFile,
  'segment-line': segmentLine,
  stage: stageFile,
  'work-record': workRecord,
} as const

/** The JSON Schema (draft 2020-12) of every record, by file name, as committed in `schemas/json/`. */
export function jsonSchemas(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(RECORDS).map(([name, schema]) => [
      name,
      `${JSON.stringify({ $id: `urn:repro:schema:${name}`, ...z.toJSONSchema(schema, { io: 'input' }) }, null, 2)}\n`,
    ]),
  )
}
