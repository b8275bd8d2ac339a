import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { adapterFor } from '../../src/runtime/registry.ts'
import { startProcess } from '../../src/system/start-process.ts'
import type { DriverJob, DriverResult } from './runtime-job.ts'

/**
 * Runs one job of the conformance suite in a process of its own, so that it can have another uid and be killed.
 * The suite bundles this file; the job comes as a JSON file, the result goes to stdout.
 */
const job = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as DriverJob
const adapter = adapterFor(job.adapter)!
const context = {
  uid: process.getuid!(),
  gid: process.getgid!(),
  scratch: job.scratch,
  storage: job.storage,
}
const report = job.report ?? (await adapter.probe(context))
if (job.spec === null) print({ report })
else {
  const line = adapter.commandLine({ ...job.spec, uid: context.uid, gid: context.gid }, report)
  const running = await startProcess(line, { runId: job.spec.id, graceMs: job.graceMs ?? 2000 })
  const hash = createHash('sha256')
  let stdout = ''
  let bytes = 0
  running.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    hash.update(chunk)
    if (stdout.length < 1 << 20) stdout += chunk.toString()
    if (job.slow) {
      running.stdout.pause()
      setTimeout(() => running.stdout.resume(), 1)
    }
  })
  let stderr = ''
  running.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  if (job.stopOn !== undefined) {
    while (!stdout.includes(job.stopOn)) await new Promise(resolve => setTimeout(resolve, 10))
    await running.stop()
  }
  const end = await running.end
  print({ report, line, end, stdout, stderr, bytes, sha256: hash.digest('hex') })
}

function print(result: DriverResult): void {
  process.stdout.write(JSON.stringify(result))
}
