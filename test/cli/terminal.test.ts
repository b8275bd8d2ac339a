import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { requires } from '../helpers/requires.ts'
import { REPRO } from './binary.ts'

const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'repro-terminal-'))
  await mkdir(join(folder, 'work'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
})

async function writeWork(script: string): Promise<void> {
  const manifest = 'repro: 1\nname: work\nlicense: MIT\napps: {default: {command: [sh, run.sh]}}\n'
  await writeFile(join(folder, 'work/repro.yaml'), manifest)
  await writeFile(join(folder, 'work/run.sh'), script)
}

function environment(more: Record<string, string> = {}): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    TERM: 'xterm-256color',
    REPRO_HOME: join(folder, 'home'),
    REPRO_CACHE: join(folder, 'cache'),
    REPRO_BOOTSTRAP: 'none',
    ...more,
  }
}

/** A command in a pseudo-terminal of 80 columns: what it wrote there, its exit code, and a way to type. */
function inTerminal(args: string, env?: Record<string, string>) {
  const line = `stty cols 80 rows 24; exec "${process.execPath}" "${REPRO}" ${args}`
  const child = spawn('script', ['-qefc', line, '/dev/null'], {
    cwd: folder,
    env: environment(env),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  return watch(child)
}

function watch(child: ChildProcess) {
  let text = ''
  const waiting: { wanted: string; resolve: () => void }[] = []
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    for (const one of waiting) if (text.includes(one.wanted)) one.resolve()
  })
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  const seen = (wanted: string) =>
    new Promise<void>((resolve, reject) => {
      if (text.includes(wanted)) resolve()
      waiting.push({ wanted, resolve })
      void ended.then(() => reject(new Error(`it ended without "${wanted}":\n${text}`)))
    })
  return { child, ended, seen, text: () => text, type: (keys: string) => child.stdin!.write(keys) }
}

const count = (text: string, part: string) => text.split(part).length - 1

describe('at a terminal', () => {
  it('draws a live area, keeps finished lines, and leaves the cursor as it was', async context => {
    requires(context, 'program script')
    await writeWork('for i in 1 2 3 4 5 6; do echo "line $i"; sleep 0.3; done\n')
    const run = inTerminal('run ./work --runtime host')
    expect(await run.ended).toBe(0)
    expect(count(run.text(), HIDE_CURSOR)).toBeGreaterThan(0)
    expect(run.text().lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(run.text().lastIndexOf(HIDE_CURSOR))
    const shown = run.text().replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '')
    expect(shown).toMatch(/✓ hashed 2 files/)
    expect(count(shown, 'line 3\r\n')).toBe(1)
    expect(shown).toMatch(/running/)
    expect(shown).toMatch(/verdict: nothing declared/)
  })

  it('lets no escape of an app through', async context => {
    requires(context, 'program script')
    await writeWork("printf 'a\\033]0;owned\\007b\\033[2Jc\\n'\n")
    const run = inTerminal('run ./work --runtime host')
    expect(await run.ended).toBe(0)
    expect(run.text()).toContain('abc')
    expect(run.text()).not.toContain('owned')
    expect(run.text()).not.toContain('\x1b[2J')
  })

  it('stops at Ctrl-C with 130, ends the whole app, and shows the cursor again', async context => {
    requires(context, 'program script')
    const marker = `300.${process.pid}`
    await writeWork(`echo started; sleep ${marker} & sleep ${marker}\n`)
    const run = inTerminal('run ./work --runtime host')
    await run.seen('started')
    run.type('\x03')
    expect(await run.ended).toBe(130)
    expect(run.text().lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(run.text().lastIndexOf(HIDE_CURSOR))
    expect(run.text()).toContain('the run was interrupted')
    expect(await commandLines()).not.toContain(marker)
  })

  it('draws plain lines on a dumb terminal', async context => {
    requires(context, 'program script')
    await writeWork('echo done\n')
    const run = inTerminal('run ./work --runtime host', { TERM: 'dumb' })
    expect(await run.ended).toBe(0)
    expect(run.text()).not.toContain('\x1b')
    expect(run.text()).toContain('verdict: nothing declared')
  })
})

describe('in a pipe', () => {
  it('hands on what an app writes byte by byte', async () => {
    await writeWork("printf 'a\\033[2Jb\\377\\n'\n")
    const args = [REPRO, 'run', './work', '--runtime', 'host', '--quiet']
    const child = spawn(process.execPath, args, { cwd: folder, env: environment() })
    const chunks: Buffer[] = []
    child.stdout.on('data', chunk => chunks.push(chunk))
    await new Promise(resolve => child.once('close', resolve))
    expect(Buffer.concat(chunks).subarray(0, 8)).toEqual(Buffer.from('a\x1b[2Jb\xff\n', 'latin1'))
  })

  it('ends without a word when its reader goes away', async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `file number ${i} of many`)
    await writeWork('true\n')
    await writeFile(join(folder, 'work/long.txt'), lines.join('\n'))
    const line = `"${process.execPath}" "${REPRO}" cat ./work long.txt --quiet | head -n 1; echo "\${PIPESTATUS[0]}"`
    const child = spawn('bash', ['-c', line], { cwd: folder, env: environment() })
    const text = { out: '', err: '' }
    child.stdout.on('data', chunk => (text.out += chunk))
    child.stderr.on('data', chunk => (text.err += chunk))
    await new Promise(resolve => child.once('close', resolve))
    expect(text).toEqual({ out: 'file number 0 of many\n0\n', err: '' })
  })

  it.each([
    ['an app that is stopped by it', 'run', 'while true; do echo line; done', 130],
    ['an app that had ended', 'run', 'exit 3', 8],
    ['a check', 'check', 'true', 0],
  ])('is no success of %s when its reader goes away', async (_, verb, script, code) => {
    await writeWork(`${script}\n`)
    const runtime = verb === 'run' ? '--runtime host' : ''
    // `head` has gone before anything can be written when it is to read no line.
    const lines = code === 130 ? 1 : 0
    const line = `"${process.execPath}" "${REPRO}" ${verb} ./work ${runtime} | head -n ${lines}; echo "\${PIPESTATUS[0]}"`
    const child = spawn('bash', ['-c', line], { cwd: folder, env: environment() })
    let out = ''
    child.stdout.on('data', chunk => (out += chunk))
    child.stderr.resume()
    await new Promise(resolve => child.once('close', resolve))
    expect(out.trim().split('\n').at(-1)).toBe(String(code))
  })
})

async function commandLines(): Promise<string> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const own = String(process.pid)
  const texts = pids
    .filter(pid => pid !== own)
    .map(pid => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))
  return (await Promise.all(texts)).filter(text => text.startsWith('sleep')).join('\n')
}
