import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import type { RuntimeName } from '../../schemas/index.ts'
import { adapterFor } from '../../src/runtime/registry.ts'
import { tinyProgram } from '../../src/runtime/tiny-program.ts'
import { makeRootfs } from './rootfs.ts'
import { type RunOptions, type RunResult, type User, Workbench } from './runtime-bench.ts'

/** What an adapter may lack; its test file gives the reason. */
export type Gap = 'image' | 'inputs read-only' | 'paths with separators'

const ORDINARY_UID = 54_321
const users: readonly User[] =
  process.getuid!() === 0
    ? [
        { label: 'root', uid: 0 },
        { label: 'an ordinary user', uid: ORDINARY_UID },
      ]
    : [{ label: 'the caller', uid: process.getuid!() }]

/** Processes whose command line holds this text. */
function processesWith(text: string): string[] {
  return readdirSync('/proc').filter(name => {
    if (!/^\d+$/.test(name)) return false
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text)
    } catch {
      return false // it ended while we looked
    }
  })
}

async function until(what: () => boolean, timeoutMs = 20_000): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; ) {
    if (what()) return true
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  return what()
}

/** The suite that every runtime adapter passes, as root and as an ordinary user, against the real runtime. */
export function describeRuntime(name: RuntimeName, gaps: Partial<Record<Gap, string>> = {}): void {
  describe.each(users)(`${name} for $label`, user => {
    let bench: Workbench
    beforeAll(async () => {
      bench = new Workbench(name, user)
      await bench.prepare()
    })
    afterAll(() => bench.remove())

    const check = (title: string, test: () => Promise<void>, gap?: Gap) => {
      if (gap !== undefined && gap in gaps) return
      it(title, async (context: TestContext) => {
        if (!bench.report!.works)
          context.skip(`${name} does not work here: ${bench.report!.reason}`)
        await test()
      })
    }
    const run = (command: readonly string[], options?: RunOptions) => bench.run(command, options)
    const shell = (script: string, options?: RunOptions) => run(['sh', '-c', script], options)
    const succeed = (result: RunResult) => {
      expect(result.stderr).toBe('')
      expect(result.end).toMatchObject({ started: true, runtimeFailed: false, exitCode: 0 })
    }

    check('passes output, input and the out folder', async () => {
      const result = await shell('cat data.txt; pwd; echo result > out/r; echo warning >&2')
      expect(result.stdout).toBe(`input data\n${result.spec.insideBundle}\n`)
      expect(result.stderr).toBe('warning\n')
      expect(result.end).toMatchObject({ exitCode: 0, signal: null, runtimeFailed: false })
      expect(readFileSync(join(result.spec.out.host, 'r'), 'utf8')).toBe('result\n')
    })

    check('gives outputs to the caller', async () => {
      const result = await shell('mkdir out/d; echo x > out/d/f')
      succeed(result)
      for (const path of ['d', 'd/f']) {
        const found = statSync(join(result.spec.out.host, path))
        expect([found.uid, found.gid]).toEqual([user.uid, user.uid])
      }
    })

    check(
      'shows the image alone, and none of it can be written',
      async () => {
        const result = await shell(
          'cat /etc/marker; ls /home /root; for p in / /etc /bin /repro /repro/bundle; do touch $p/x; done',
        )
        expect(result.stdout).toBe('the image\n')
        expect(result.stderr!.match(/Read-only file system/g)).toHaveLength(5)
        expect(result.stderr!.match(/No such file/g)).toHaveLength(2)
        expect(existsSync(join(bench.rootfs, 'x'))).toBe(false)
      },
      'image',
    )

    check(
      'leaves the inputs and the image untouched',
      async () => {
        const before = listing(bench.rootfs)
        const result = await shell('echo y >> data.txt; rm -f data.txt; chmod 777 data.txt; :')
        expect(readFileSync(join(result.spec.bundle, 'data.txt'), 'utf8')).toBe('input data\n')
        expect(listing(bench.rootfs)).toEqual(before)
      },
      'inputs read-only',
    )

    check('has a private, writable /tmp', async () => {
      if (name === 'host') return
      const first = await shell('touch /tmp/mine /dev/shm/mine /run/mine && ls /tmp')
      succeed(first)
      expect(first.stdout).toBe('mine\n')
      expect((await shell('ls /tmp /dev/shm /run')).stdout).not.toContain('mine')
    })

    check('has no network', async () => {
      const result = await shell('cat /proc/net/dev')
      const names = [...result.stdout!.matchAll(/^\s*(\S+):/gm)].map(match => match[1])
      expect(names.filter(found => found !== 'lo')).toEqual([])
    })

    check('passes the declared environment and nothing else', async () => {
      const value = 'a "b" $c\n\\d é'
      const result = await run(['env'], { env: { VALUE: value, EMPTY: '' } })
      succeed(result)
      const expected = { ...result.spec.env, PWD: result.spec.insideBundle }
      const lines = Object.entries(name === 'host' ? expected : { ...expected, HOSTNAME: 'repro' })
        .map(([key, text]) => `${key}=${text}`)
        .join('\n')
      expect(result.stdout!.trimEnd().split('\n').sort()).toEqual(lines.split('\n').sort())
    })

    check('runs without privileges', async () => {
      const { stdout } = await shell('cat /proc/self/status; id -u')
      if (name === 'host') return
      expect(/^NoNewPrivs:\s*1$/m.test(stdout!)).toBe(true)
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
        expect(stdout).toMatch(new RegExp(`^${set}:\\s*0+$`, 'm'))
      const inside = Number(stdout!.trim().split('\n').at(-1))
      const mapped = name === 'podman' && user.uid !== 0 && bench.report!.facts['keepId'] !== true
      // Under unshare the program that starts as uid 0 would have every capability.
      const asRoot = name === 'unshare' ? 1000 : 0
      expect(inside).toBe(mapped ? 0 : user.uid === 0 ? asRoot : user.uid)
    })

    check(
      'cannot change the kernel by way of /proc',
      async () => {
        // Opened for writing and nothing more: no value is ever changed.
        const files = ['sys/kernel/core_pattern', 'sys/vm/drop_caches', 'sys/kernel/hostname']
        const tries = files.map(file => `(: >>/proc/${file}) 2>/dev/null && echo ${file}`)
        const own = 'mount -t proc proc /tmp/p && (: >>/tmp/p/sys/kernel/core_pattern) && echo own'
        const result = await shell(
          `${tries.join('; ')}; mkdir /tmp/p; unshare -Urpfm sh -c '${own}' 2>/dev/null; echo end`,
        )
        expect(result.stdout).toBe('end\n')
      },
      'image',
    )

    check(
      'cannot read the keys and the timers of the host',
      async () => {
        const { stdout } = await shell('cat /proc/keys /proc/timer_list /proc/kpageflags; echo end')
        expect(stdout).toBe('end\n')
      },
      'image',
    )

    check(
      "cannot change the modes of the host's devices",
      async () => {
        const nodes = ['null', 'zero', 'full', 'random', 'urandom', 'tty']
        const modes = () => nodes.map(node => statSync(`/dev/${node}`).mode & 0o7777)
        const before = modes()
        // To the mode that they have: a failed test leaves the host as it was.
        const { stdout } = await shell(
          `for n in ${nodes.join(' ')}; do chmod $(stat -c %a /dev/$n) /dev/$n && echo $n; done 2>/dev/null
           for n in null zero; do echo x >/dev/$n || echo no; done; echo end`,
        )
        expect(stdout!.split('\n').filter(line => line !== '')).toEqual(
          name === 'podman' && user.uid === 0 ? expect.arrayContaining(['end']) : ['end'],
        )
        expect(modes()).toEqual(before)
      },
      'image',
    )

    check('sees no file that was open where it was started', async () => {
      const { stdout } = await shell('ls -l /proc/self/fd; cat <&0; cat /proc/self/fd/40')
      expect(stdout).not.toContain('conformance/')
      // Nor stdin, whose mode root could change: podman opens that anew, in a /dev of the container's own.
      if (name !== 'podman') expect(stdout).not.toContain('/dev/null')
    })

    check(
      'sees nothing in /sys',
      async () => {
        if (name === 'podman') return
        writeFileSync(join(bench.rootfs, 'sys', 'planted'), 'not in the tree hash')
        const { stdout } = await shell('ls -A /sys; touch /sys/x; echo end')
        expect(stdout).toBe('end\n')
      },
      'image',
    )

    check(
      'mounts what can be written without set-uid programs and devices',
      async () => {
        const result = await shell('cat /proc/self/mountinfo')
        for (const path of [result.spec.out.inside, '/tmp']) {
          const line = result.stdout!.split('\n').find(text => text.split(' ')[4] === path)
          expect(line!.split(' ')[5]!.split(',')).toEqual(
            expect.arrayContaining(['rw', 'nosuid', 'nodev']),
          )
        }
      },
      'image',
    )

    check('cannot reach the host by way of process 1 or a second root', async () => {
      if (name === 'host') return
      const { stdout } = await shell('ls /proc/1/root/ /proc/1/cwd/ 2>/dev/null; :')
      for (const secret of ['home', 'root', 'var', 'boot', 'mnt'])
        expect(stdout!.split('\n')).not.toContain(secret)
    })

    check('passes exit codes', async () => {
      for (const code of name === 'podman' ? [0, 1, 7, 127, 255] : [0, 1, 7, 125, 127, 255]) {
        const { end } = await shell(`exit ${code}`)
        expect(end).toMatchObject({ started: true, runtimeFailed: false, exitCode: code })
      }
    })

    check('tells signals', async () => {
      for (const [signal, number] of [
        ['SIGKILL', 9],
        ['SIGTERM', 15],
        ['SIGSEGV', 11],
      ] as const)
        expect((await shell(`kill -${number} $$`)).end).toMatchObject({
          runtimeFailed: false,
          exitCode: 128 + number,
          signal,
        })
    })

    check('tells a missing command and one that cannot be executed from a failed app', async () => {
      expect((await run(['no-such-program'])).end).toMatchObject({
        runtimeFailed: false,
        exitCode: 127,
      })
      expect((await run(['./data.txt'])).end).toMatchObject({ runtimeFailed: false, exitCode: 126 })
    })

    check(
      'tells a runtime that cannot start from an app that failed',
      async () => {
        const command = ['sh', '-c', 'exit 1']
        const broken = await run(command, { rootfs: join(bench.folder, 'nowhere') })
        expect(broken.end).toMatchObject({ started: false, exitCode: null, runtimeFailed: true })
        expect((await run(command)).end).toMatchObject({ exitCode: 1, runtimeFailed: false })
      },
      'image',
    )

    check('passes arguments as they are', async () => {
      const words = [
        'a b',
        '',
        "it's",
        '"q"',
        '$HOME',
        '`id`',
        'new\nline',
        'ünïcödé 🧬',
        '-x',
        '--',
        '\\',
        '*',
      ]
      const result = await run(['sh', '-c', 'printf "<%s>" "$@"', 'sh', ...words])
      succeed(result)
      expect(result.stdout).toBe(words.map(word => `<${word}>`).join(''))
    })

    check('closes stdin', async () => {
      const result = await shell('cat; echo end')
      succeed(result)
      expect(result.stdout).toBe('end\n')
    })

    check('lets the app open its own output by name', async () => {
      const result = await shell('echo one > /dev/stdout; echo two > /dev/stderr')
      expect([result.stdout, result.stderr]).toEqual(['one\n', 'two\n'])
    })

    check('passes 100 MB of output intact to a slow reader', async () => {
      const { bytes, end } = await run(['head', '-c', '100000000', '/dev/zero'], { slow: true })
      expect(bytes).toBe(100_000_000)
      expect(end).toMatchObject({ exitCode: 0 })
    })

    check('shows the files that the reader gives', async () => {
      if (name === 'host') return
      const result = await shell(
        'cat /repro/params/x/r.txt; touch /repro/params/x/r.txt /repro/y',
        {
          mounts: folder => [{ host: join(folder, 'reader.txt'), inside: '/repro/params/x/r.txt' }],
        },
      )
      expect(result.stdout).toBe("the reader's own\n")
      expect(result.stderr!.match(/Read-only file system/g)).toHaveLength(2)
    })

    check('asks the app to end, and gives it time', async () => {
      const script = 'trap "echo asked; exit 3" TERM; echo ready; while :; do sleep 0.05; done'
      const result = await shell(script, { stopOn: 'ready' })
      expect(result.stdout).toBe('ready\nasked\n')
      expect(result.end).toMatchObject({ stopped: true, exitCode: 3 })
    })

    check('ends every process of a run that will not end, and its mounts', async () => {
      const mark = `98765.${process.pid}${user.uid}`
      const script = `trap "" TERM; setsid sleep ${mark} & (sleep ${mark} &) ; echo ready; while :; do sleep ${mark}; done`
      const result = await shell(script, { stopOn: 'ready', graceMs: 200 })
      expect(result.end).toMatchObject({ stopped: true, runtimeFailed: false })
      expect(processesWith(mark)).toEqual([])
      expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(result.spec.id)
    })

    check('leaves no process when the app ends and its children do not', async () => {
      const mark = `87654.${process.pid}${user.uid}`
      const result = await shell(`setsid sleep ${mark} & sleep ${mark} & exit 0`)
      expect(result.end).toMatchObject({ exitCode: 0 })
      expect(await until(() => processesWith(mark).length === 0, 2000)).toBe(true)
    })

    check('leaves no process when we are killed', async () => {
      const mark = `76543.${process.pid}${user.uid}`
      await shell(`setsid sleep ${mark} & sleep ${mark}`, {
        async onStart(pid) {
          expect(await until(() => processesWith(`sleep\0${mark}`).length >= 2)).toBe(true)
          process.kill(pid, 'SIGKILL')
        },
      })
      expect(await until(() => processesWith(mark).length === 0)).toBe(true)
    })

    check(
      'needs no shell in the image',
      async () => {
        const rootfs = join(bench.folder, 'bare')
        makeRootfs(rootfs, [])
        writeFileSync(join(rootfs, 'tiny'), tinyProgram()!, { mode: 0o755 })
        bench.give(rootfs)
        const result = await run(['/tiny'], { rootfs })
        succeed(result)
        expect(result.stdout).toBe('repro\n')
      },
      'image',
    )

    check(
      'takes an image from a path with a space and a colon',
      async () => {
        const rootfs = join(bench.folder, 'with space: and, more')
        mkdirSync(rootfs)
        makeRootfs(rootfs, ['cat'])
        bench.give(rootfs)
        const result = await run(['cat', '/etc/marker'], { rootfs })
        succeed(result)
        expect(result.stdout).toBe('the image\n')
      },
      'paths with separators',
    )

    check('holds the limits that it says it enforces', async () => {
      const script = 'head -c 300000000 /dev/zero | tail -c 200000000 >/dev/null; echo $?'
      const result = await shell(script, { limits: { memoryBytes: 64 << 20, cpus: 1 } })
      const abilities = adapterFor(name)!.abilities.limits
      const enforced = abilities.memory && bench.report!.facts['limits'] === true
      expect('memory' in result.line!.enforces).toBe(enforced)
      expect(result.stdout).toBe(enforced ? '137\n' : '0\n')
    })
  })
}

/** Every path below a folder with size and mode: what must not change. */
function listing(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map(entry => {
      const path = join(entry.parentPath, entry.name)
      return entry.isFile() ? `${path} ${statSync(path).size} ${statSync(path).mode}` : path
    })
    .sort()
}
