import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Manifest,
  type RecordedApp,
  type RecordedFile,
  type ResolvedOutput,
  recordedFile,
  type WorkRecord,
} from '../../schemas/index.ts'
import { appOf } from '../core/app-closure.ts'
import { RESERVED } from '../core/archive-path.ts'
import { fail } from '../core/errors.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { createBlake3 } from '../system/blake3.ts'
import { TreeWriter } from '../system/tree-writer.ts'
import { openOutput } from './compare/open-output.ts'
import type { RunResult } from './run-stage.ts'

const CHUNK_BYTES = 1 << 20
const RECORDED = `${RESERVED}/recorded.json`

/** Where the expectation of an output lies in an author's folder when the manifest does not say. */
const expectedPath = (app: string, output: string) => `expected/${app}/${output}`

/**
 * Keeps the outputs of a run as what its app is expected to write: into `expected/<app>/<path>` of the author's folder,
 * with a note in `.repro/recorded.json` under which image they were made. Outputs whose expectation the manifest names
 * itself, and those that only have to exist, are left as they are.
 * Throws APP_FAILED for a run that did not complete or left an output out, USAGE for one with other than the default parameters.
 */
export async function* recordExpectations(
  folder: string,
  manifest: Manifest,
  run: RunResult,
): AsyncGenerator<WorkRecord, RecordedApp> {
  const { receipt } = run
  const app = appOf(manifest, receipt.app)
  if (receipt.outcome !== 'completed')
    fail('APP_FAILED', `the app "${receipt.app}" did not complete: its outputs are not kept`, {
      hints: [`repro runs ${receipt.id}`],
    })
  if (run.departures.length > 0)
    fail(
      'USAGE',
      `expectations are recorded with default parameters: this run ${run.departures.join('; ')}`,
      { hints: ['repeat it without --set and without extra arguments'] },
    )
  const missing = receipt.outputs.filter(
    output => output.status === 'missing' || output.status === 'unexpected type',
  )
  if (missing.length > 0)
    fail('APP_FAILED', `the output "${missing[0]!.path}" ${missing[0]!.message}`, {
      hints: ['nothing was recorded: correct the app or its outputs in repro.yaml'],
      data: { outputs: missing.map(output => output.path) },
    })
  const tree = new TreeWriter(folder)
  const outputs: RecordedApp['outputs'] = {}
  for (const output of app.outputs) {
    const file = expectedPath(receipt.app, output.path)
    if (!isRecorded(output, file)) {
      yield { action: 'write', status: 'skipped', subject: output.path }
      continue
    }
    const written = await copyOutput(tree, run.out, output.path, file)
    if (!written) continue
    outputs[output.path] = { file, ...written }
    yield { action: 'write', status: 'ok', subject: file, bytes: written.size }
  }
  const noted: RecordedApp = {
    image: app.image === null ? null : (manifest.images[app.image]?.digest ?? null),
    runtime: receipt.runtime.name,
    recordedAt: receipt.finishedAt,
    params: receipt.params,
    outputs,
  }
  await note(tree, folder, manifest, receipt.app, noted)
  return noted
}

function isRecorded(output: ResolvedOutput, file: string): boolean {
  if (output.compare === 'exists') return false
  return output.expect === undefined || output.expect.path === file
}

async function copyOutput(
  tree: TreeWriter,
  out: string,
  path: string,
  file: string,
): Promise<{ blake3: string; size: number } | null> {
  const opened = await openOutput(out, path)
  // An optional output that was not written; a missing one was refused before.
  if (opened.kind !== 'file') return null
  try {
    const read = async function* () {
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
      for (let position = 0; ; ) {
        const { bytesRead } = await opened.handle.read(buffer, 0, buffer.length, position)
        if (bytesRead === 0) return
        position += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    }
    const hasher = createBlake3()
    for await (const chunk of read()) hasher.update(chunk)
    const found = { blake3: hasher.hex(), size: opened.size }
    await tree.writeFile({ path: file, type: 'file', ...found }, read())
    return found
  } finally {
    await opened.handle.close()
  }
}

/** Adds one app to `.repro/recorded.json`; notes of apps that are gone, and a file that cannot be read, are dropped. */
async function note(
  tree: TreeWriter,
  folder: string,
  manifest: Manifest,
  app: string,
  noted: RecordedApp,
): Promise<void> {
  tree.writeFolder(RESERVED)
  const path = join(folder, RECORDED)
  const before = await readRecorded(path)
  const known = Object.entries(before?.apps ?? {}).filter(([name]) =>
    Object.hasOwn(manifest.apps, name),
  )
  const file: RecordedFile = { format: 0, apps: { ...Object.fromEntries(known), [app]: noted } }
  await writeFileAtomic(path, `${JSON.stringify(file, null, 2)}\n`)
}

async function readRecorded(path: string): Promise<RecordedFile | null> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return null
  try {
    return recordedFile.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}
