import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Launch } from '../../src/system/launch.ts'
import { startProcess } from '../../src/system/start-process.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'repro-start-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const launch = (argv: readonly string[], more: Partial<Launch> = {}): Launch => ({
  argv,
  env: { PATH: '/usr/bin:/bin' },
  cwd: folder,
  folders: [],
  started: { kind: 'spawn' },
  runtimeExitCodes: [],
  commandFailures: [],
  cleanup: [],
  ...more,
})
const shell = (script: string, more: Partial<Launch> = {}) =>
  launch(['/bin/sh', '-c', script], more)

async function follow(line: Launch, signal?: AbortSignal) {
  const running = await startProcess(line, signal ? { signal, graceMs: 100 } : {})
  const [stdout, stderr, end] = await Promise.all([
    text(running.stdout),
    text(running.stderr),
    running.end,
  ])
  return { stdout, stderr, end, started: await running.started }
}

describe('startProcess', () => {
  it('leaves no pipes behind, and removes those of processes that were killed', async () => {
    const pipes = () => readdirSync(tmpdir()).filter(name => name.startsWith('repro-pipe.'))
    const mine = `.${process.pid}.`
    const { makeTemporaryFolder } = await import('../../src/system/scratch-folder.ts')
    const made = await makeTemporaryFolder('pipe')
    const ended = spawnSync('true').pid
    const left = made.replace(mine, `.${ended}.`)
    renameSync(made, left)
    expect(existsSync(left)).toBe(true)
    await follow(shell('exit 0'))
    expect(existsSync(left)).toBe(false)
    expect(pipes().filter(name => name.includes(mine))).toEqual([])
  })

  it('makes the folders it is told to', async () => {
    await follow(shell('exit 0', { folders: [join(folder, 'a', 'b')] }))
    expect(existsSync(join(folder, 'a', 'b'))).toBe(true)
  })

  it('ends with 127 for a program that is missing, and with a failed runtime for a missing folder', async () => {
    expect((await follow(launch(['no-such-program']))).end).toMatchObject({
      exitCode: 127,
      runtimeFailed: false,
    })
    const { end, stderr } = await follow(shell('exit 0', { cwd: join(folder, 'nowhere') }))
    expect(end).toMatchObject({ runtimeFailed: true, started: false, exitCode: null })
    expect(stderr).toContain('nowhere')
  })

  it.each([
    ['no byte', 'exit 0', { started: false, runtimeFailed: true, exitCode: null }],
    ['a byte', 'printf . >&3; exit 4', { started: true, runtimeFailed: false, exitCode: 4 }],
  ])('learns of the start by a byte: %s', async (_title, script, expected) => {
    const started = { kind: 'byte', fd: 3 } as const
    const result = await follow(shell(script, { started }))
    expect(result.end).toMatchObject(expected)
    expect(result.started).toBe(expected.started)
  })

  it.each([
    ['nothing', ':', { started: false, runtimeFailed: true }],
    ['a child only', `echo '{"child-pid": 7}' >&3`, { started: false, runtimeFailed: true }],
    [
      'an exit code',
      `echo '{"child-pid": 7}' >&3; echo '{"exit-code": 137}' >&3`,
      { started: true, runtimeFailed: false, exitCode: 137, signal: 'SIGKILL' },
    ],
  ])('reads the JSON status: %s', async (_title, script, expected) => {
    const started = { kind: 'json-status', fd: 3 } as const
    expect((await follow(shell(script, { started }))).end).toMatchObject(expected)
  })

  it('takes the exit codes of a failed runtime for that', async () => {
    const file = join(folder, 'pid')
    const started = { kind: 'file', path: file } as const
    const line = (code: number) =>
      shell(`echo 1 > ${file}; exit ${code}`, { started, runtimeExitCodes: [125] })
    expect((await follow(line(125))).end).toMatchObject({ started: true, runtimeFailed: true })
    expect((await follow(line(7))).end).toMatchObject({ runtimeFailed: false, exitCode: 7 })
  })

  it("translates a runtime's words for a missing command", async () => {
    const line = shell('echo "rt: cannot find x" >&2; exit 1', {
      started: { kind: 'byte', fd: 3 },
      commandFailures: [{ exitCode: 1, stderr: '^rt: cannot find ', means: 127 }],
    })
    expect((await follow(line)).end).toMatchObject({ runtimeFailed: false, exitCode: 127 })
  })

  it('keeps the end of stderr and passes all of it on', async () => {
    const { end, stderr } = await follow(shell('seq 1 20000 >&2; echo last >&2'))
    expect(stderr.length).toBeGreaterThan(100_000)
    expect(end.stderrTail.length).toBe(8192)
    expect(end.stderrTail.endsWith('20000\nlast\n')).toBe(true)
  })

  it('ends on an abort, runs the cleanup, and says that it was stopped', async () => {
    const abort = new AbortController()
    setTimeout(() => abort.abort(), 200)
    const cleaned = join(folder, 'cleaned')
    const line = shell('trap "" TERM; while :; do sleep 0.1; done', {
      cleanup: [['touch', cleaned]],
    })
    const { end } = await follow(line, abort.signal)
    expect(end).toMatchObject({ stopped: true, exitCode: 137, signal: 'SIGKILL' })
    expect(existsSync(cleaned)).toBe(true)
  })

  it('is not stopped by a call that comes after the end', async () => {
    const running = await startProcess(shell('exit 3'))
    running.stdout.resume()
    running.stderr.resume()
    await running.end
    expect(await running.stop()).toMatchObject({ stopped: false, exitCode: 3 })
  })

  it('sees the memory that a process holds', async () => {
    const script = 'head -c 60000000 /dev/zero | tail -c 50000000 | { sleep 0.5; cat >/dev/null; }'
    const { end } = await follow(shell(script))
    expect(end.peakMemoryBytes).toBeGreaterThan(40e6)
  })
})
