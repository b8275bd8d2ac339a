import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadSettings } from '../../src/system/config.ts'
import { ownershipFault } from '../../src/system/ownership.ts'

const me = process.geteuid!()
let root: string
let env: Record<string, string>

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'repro-config-'))
  env = {
    HOME: root,
    REPRO_HOME: join(root, 'home'),
    REPRO_SITE_CONFIG: join(root, 'site.yaml'),
  }
  await mkdir(join(root, 'home'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

const site = (text: string) => writeFile(join(root, 'site.yaml'), text)
const own = (text: string) => writeFile(join(root, 'home', 'config.yaml'), text)

test('defaults follow the XDG rules, and say so', async () => {
  const settings = await loadSettings({}, { HOME: root, REPRO_SITE_CONFIG: '/nonexistent' })
  expect(settings).toMatchObject({
    home: join(root, '.local/share/repro'),
    cache: join(root, '.cache/repro'),
    network: { bootstrap: 'public', peers: [], listen: null, waitMs: 15_000 },
    runtimeOrder: [],
    origins: { home: 'default', 'network.bootstrap': 'default' },
  })
  const data = await loadSettings({}, { HOME: root, XDG_DATA_HOME: '/data', XDG_CACHE_HOME: 'rel' })
  expect([data.home, data.cache]).toEqual(['/data/repro', join(root, '.cache/repro')])
})

test('flag beats environment beats the home beats the site', async () => {
  await site(
    'network:\n  listen: 10.0.0.1:1\n  bootstrap: none\n  wait: 2min\nruntimes: [podman]\n',
  )
  const fromSite = await loadSettings({}, env)
  expect(fromSite.network).toEqual({
    bootstrap: 'none',
    peers: [],
    listen: { host: '10.0.0.1', port: 1 },
    waitMs: 120_000,
  })
  expect(fromSite.runtimeOrder).toEqual(['podman'])
  expect(fromSite.origins['network.wait']).toBe(`${join(root, 'site.yaml')}:4`)

  await own('network:\n  bootstrap: ["10.0.0.2:49737"]\n')
  const fromHome = await loadSettings({}, env)
  expect(fromHome.network.bootstrap).toEqual([{ host: '10.0.0.2', port: 49737 }])
  expect(fromHome.network.listen).toEqual({ host: '10.0.0.1', port: 1 })
  expect(fromHome.origins['network.bootstrap']).toBe(`${join(root, 'home', 'config.yaml')}:2`)

  const more = { ...env, REPRO_BOOTSTRAP: 'a.example:1, [::1]:2', REPRO_PEERS: 'h:9' }
  const fromEnv = await loadSettings({}, more)
  expect(fromEnv.network.bootstrap).toEqual([
    { host: 'a.example', port: 1 },
    { host: '::1', port: 2 },
  ])
  expect(fromEnv.origins['network.peers']).toBe('REPRO_PEERS')

  const flags = await loadSettings({ bootstrap: 'public', peer: ['p:1', 'q:2'] }, more)
  expect(flags.network.bootstrap).toBe('public')
  expect(flags.network.peers).toHaveLength(2)
  expect(flags.origins['network.peers']).toBe('--peer')
})

test('a site gives each user a home and a cache of their own', async () => {
  await site(`home: /scratch/\${USER}/repro\ncache: ~/tmp/repro\n`)
  const { home, cache } = await loadSettings({}, { ...env, REPRO_HOME: '', USER: 'ada' })
  expect([home, cache]).toEqual(['/scratch/ada/repro', join(root, 'tmp/repro')])
  await expect(loadSettings({}, { ...env, REPRO_HOME: '' })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/site\.yaml:1: .*USER, which is not set/),
  })
})

test('a fault is told with its file, line and the nearest key', async () => {
  await own('network:\n  bootstap: none\n  listen: 99\n')
  await expect(loadSettings({}, env)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    exitCode: 2,
    message: expect.stringMatching(
      /config\.yaml:2:\d+: .*unknown key "bootstap".*"bootstrap"[\s\S]*config\.yaml:3:/,
    ),
  })
  await own('bootstrap: none\nanything: 1\n')
  await expect(loadSettings({}, env)).rejects.toMatchObject({
    message: expect.stringMatching(
      /config\.yaml:1:\d+: .*unknown key "bootstrap": did you mean "network\.bootstrap"\?\n.*:2:\d+: .*"anything"$/,
    ),
    hints: [
      expect.stringMatching(/^edit /),
      expect.stringMatching(/home, cache, network, network\.bootstrap, .*runtimes/),
    ],
  })
  await own('home: /elsewhere\n')
  await expect(loadSettings({}, env)).rejects.toThrow(/cannot say where it is/)
  await own('network: [\n')
  await expect(loadSettings({}, env)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await own('')
  await expect(loadSettings({}, env)).resolves.toBeTruthy()
})

test.each([
  [{ REPRO_BOOTSTRAP: 'nonee' }, /REPRO_BOOTSTRAP: "nonee" is no host:port/],
  [{ REPRO_PEERS: 'host' }, /REPRO_PEERS: "host"/],
  [{ REPRO_PEERS: 'host:0' }, /REPRO_PEERS/],
  [{ REPRO_LISTEN: 'h:70000' }, /REPRO_LISTEN/],
  [{ REPRO_WAIT: 'soon' }, /REPRO_WAIT/],
  [{ REPRO_RUNTIMES: 'podmna' }, /no runtime "podmna"/],
])('the environment %j is refused by name', async (more, message) => {
  await expect(loadSettings({}, { ...env, ...more })).rejects.toThrow(message)
})

test.each(['home', 'cache'])('a %s that others can write to is refused', async what => {
  const folder = join(root, what)
  const name = `REPRO_${what.toUpperCase()}`
  await mkdir(folder, { recursive: true })
  for (const mode of [0o777, 0o1777, 0o702]) {
    await chmod(folder, mode)
    await expect(loadSettings({}, { ...env, [name]: folder })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(
        `the ${what} "${folder}" cannot be trusted: other users can`,
      ),
      hints: [`chmod go-w ${folder}`, expect.stringContaining(`${name}=`)],
    })
  }
  await chmod(folder, 0o755)
  await expect(loadSettings({}, { ...env, [name]: folder })).resolves.toBeTruthy()
})

test.each([
  [{ uid: 12_345, gid: 12_345, mode: 0o40755 }, 'it belongs to another user (uid 12345)'],
  [{ uid: 0, gid: 0, mode: 0o40755 }, null],
  [{ uid: me, gid: me, mode: 0o40775 }, null],
  [{ uid: me, gid: me + 1, mode: 0o40775 }, 'other users can write to it (mode 775)'],
  [{ uid: me, gid: me, mode: 0o40777 }, 'other users can write to it (mode 777)'],
])('the owner and mode %j are: %s', (stats, fault) => {
  expect(ownershipFault(stats)).toBe(fault)
})

test('a home that others can write to is refused before its configuration is read', async () => {
  await own('network: [\n')
  await chmod(env['REPRO_HOME']!, 0o777)
  await expect(loadSettings({}, env)).rejects.toThrow(/cannot be trusted/)
})

test('with nothing that says where to keep things, it says what to set', async () => {
  await expect(loadSettings({}, {})).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('HOME'),
    hints: [expect.stringContaining('REPRO_HOME=')],
  })
})
