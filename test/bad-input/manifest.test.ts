import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Person, share } from '../helpers/cli.ts'
import { recordIn, tamper } from '../helpers/dishonest-author.ts'
import { requires } from '../helpers/requires.ts'
import { authorOf, MANIFEST, SMALL } from './bundles.ts'

describe('a manifest', () => {
  it('with unknown keys and wrong types: every fault at once, with its line and the nearest key', async () => {
    const { author, folder } = await authorOf({
      ...SMALL,
      'repro.yaml': MANIFEST.replace('license: MIT', 'licence: MIT')
        .replace('command: [bash, code/run.sh]', 'command: bash code/run.sh')
        .replace('max: 5', 'max: many'),
    })
    for (const verb of ['check', 'publish', 'run']) {
      const { code, stdout, stderr } = await author.repro(verb, folder)
      const text = stdout + stderr
      expect([verb, code]).toEqual([verb, 2])
      expect(text).toMatch(/repro\.yaml:3:1\b.*licence.*\n?.*license/)
      expect(text).toMatch(/repro\.yaml:9:\d+\b.*command/)
      expect(text).toMatch(/repro\.yaml:11:\d+\b.*max/)
    }
  })

  it('of 100 MB: refused in moments, without reading it', async () => {
    const { author, folder } = await authorOf()
    const file = await open(join(folder, 'repro.yaml'), 'w')
    await file.truncate(100_000_000)
    await file.close()
    const begun = performance.now()
    const { code, stderr, stdout } = await author.repro('publish', folder)
    expect(code).toBe(2)
    expect(stdout + stderr).toMatch(/repro\.yaml.*100/)
    expect(performance.now() - begun).toBeLessThan(20_000)
  })

  it('of 100 MB, in the drive of a dishonest author: exit 5, and little of it is fetched', async () => {
    const { author, folder } = await authorOf()
    const { result: release } = await author.json(['publish', folder])
    await tamper(author.home, release.key, async (drive, sign) => {
      const { signature: _, ...record } = await recordIn(drive, 1)
      await drive.put('/.repro/manifest.json', Buffer.alloc(100_000_000, 0x20))
      await drive.put(
        '/.repro/releases/2.json',
        sign({ ...record, release: 2, driveVersion: drive.version }),
      )
    })
    const { peer } = await share(author)
    const reader = new Person(join(author.folder, 'reader'), { env: { REPRO_PEERS: peer } })
    for (const verb of ['run', 'inspect', 'get']) {
      const { result } = await reader.json([verb, `${release.key}@2`], 5)
      expect([verb, result.code]).toEqual([verb, 'RECORD_INVALID'])
    }
    expect((await reader.repro('inspect', `${release.key}@1`)).code).toBe(0)
  })
})

describe('an app', () => {
  it('that does not exist: exit 2, with the apps there are', async () => {
    const { author, folder } = await authorOf()
    const { code, stderr } = await author.repro('run', folder, 'defualt')
    expect(code).toBe(2)
    expect(stderr).toMatch(/defualt/)
    expect(stderr).toMatch(/"?default"?/)
  })

  it.each([
    ['times=9', /times.*9|9.*times/],
    ['times=two', /times.*two|two.*times/],
    ['tmies=2', /times/],
    ['times', /name=value|times/],
  ])('with the parameter %s: exit 2, before anything is fetched', async (given, words) => {
    const { author, folder } = await authorOf()
    const { result: release } = await author.json(['publish', folder])
    const { peer } = await share(author)
    const reader = new Person(join(author.folder, 'reader'), { env: { REPRO_PEERS: peer } })
    const { records, result } = await reader.json(['run', release.key, '--set', given], 2)
    expect(result.message).toMatch(words)
    expect(records.filter(({ action }) => /stage|unpack|execute/.test(action))).toEqual([])
    expect(await readdir(join(reader.home, 'runs')).catch(() => [])).toEqual([])
  })
})

describe('an ignore pattern', () => {
  const withPattern = (pattern: string) =>
    MANIFEST.replace('compare: exact', () => `compare: text, ignore: '${pattern}'`)

  it('that would run for ever in other engines: takes its time in proportion', async test => {
    requires(test, 'user namespaces')
    const line = 'a'.repeat(60_000)
    const { author, folder } = await authorOf({
      ...SMALL,
      'repro.yaml': withPattern('^(a+)+$|^(a|aa)+b$'),
      'code/run.sh': `printf '%s!\\n' ${line} >"$REPRO_OUT/out.txt"\n`,
      'expected/default/out.txt': `${line}?\n`,
    })
    const begun = performance.now()
    const { result } = await author.json(['run', folder], 7)
    expect(result.receipt.outputs).toMatchObject([{ status: 'differs', at: { line: 1 } }])
    expect(performance.now() - begun).toBeLessThan(30_000)
  })

  it('that no linear engine has: refused by name', async () => {
    const { author, folder } = await authorOf({ ...SMALL, 'repro.yaml': withPattern('^(a)\\1$') })
    const { code, stdout, stderr } = await author.repro('check', folder)
    expect(code).toBe(2)
    expect(stdout + stderr).toMatch(/repro\.yaml:\d+:\d+.*ignore|ignore.*RE2/)
  })
})
