import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { REPO } from './binary.ts'
import { parseTranscript, TranscriptRun } from './transcript.ts'

const FOLDER = join(REPO, 'test/transcripts')
const names = (await readdir(FOLDER)).filter(name => name.endsWith('.txt')).sort()

describe('transcripts of the command line', () => {
  it('are there', () => expect(names.length).toBeGreaterThan(0))

  it.each(names)('%s', { timeout: 180_000 }, async name => {
    const steps = parseTranscript(await readFile(join(FOLDER, name), 'utf8'))
    expect(steps.length).toBeGreaterThan(0)
    const folder = await mkdtemp(join(tmpdir(), 'repro-transcript-'))
    await mkdir(join(folder, 'cache'))
    const run = new TranscriptRun(folder, {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      REPRO_HOME: join(folder, 'home'),
      REPRO_CACHE: join(folder, 'cache'),
      REPRO_BOOTSTRAP: 'none',
      REPRO_SITE_CONFIG: join(folder, 'no-site-config.yaml'),
    })
    try {
      for (const step of steps) await run.run(step)
    } finally {
      await run.stop()
      await rm(folder, { recursive: true, force: true })
    }
  })
})
