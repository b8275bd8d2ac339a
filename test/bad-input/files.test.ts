import { appendFile, chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makePlace } from '../../scripts/lib/reader-place.mjs'
import { writeFiles } from '../archive/helpers.ts'
import { checkout, Person } from '../helpers/cli.ts'
import { authorOf, SMALL } from './bundles.ts'

/** Nothing of a refused publish may be seen: no release, and no key in the folder, but for one that was made to store files. */
async function expectNothingPublished(
  author: Person,
  folder: string,
  storing = false,
): Promise<void> {
  const noted = await readFile(join(folder, '.repro/bundle.json'), 'utf8').catch(() => null)
  if (storing) expect(JSON.parse(noted!)).toMatchObject({ release: 0 })
  else expect(noted).toBeNull()
  const { code } = await author.repro('share')
  expect(code).not.toBe(0)
}

describe('publish', () => {
  it('refuses a file that changes while it is hashed, and publishes nothing', async () => {
    const { author, folder } = await authorOf()
    const growing = join(folder, 'data/growing.log')
    await writeFile(growing, Buffer.alloc(8 << 20))
    let busy = true
    const writer = (async () => {
      while (busy) await appendFile(growing, Buffer.alloc(64 << 10))
    })()
    try {
      const { result } = await author.json(['publish', folder], 1)
      expect(result).toMatchObject({ code: 'SOURCE_CHANGED' })
      expect(result.message).toContain('data/growing.log')
    } finally {
      busy = false
      await writer
    }
    await expectNothingPublished(author, folder, true)
    const again = await author.json(['publish', folder])
    expect(again.result).toMatchObject({ release: 1, published: true })
  })

  it('refuses a file that it cannot read, by name', async () => {
    const place = makePlace(checkout)
    onTestFinished(() => rm(place.base, { recursive: true, force: true }))
    const author = new Person(place.reader, { launch: place.launch })
    const folder = join(place.base, 'small')
    await writeFiles(folder, SMALL)
    await chmod(join(folder, 'data/notes.txt'), 0o000)
    const { result } = await author.json(['publish', folder], 1)
    expect(result.code).toBe('READ_FAILED')
    expect(result.message).toContain('data/notes.txt')
  })

  it.each([
    ['a newline', 'data/two\nlines.txt', /data\/two/],
    ['a backslash', 'data/back\\slash.txt', /data\/back/],
    ['a terminal escape', 'data/\x1b[31mred.txt', /data\//],
  ])('refuses a path with %s, escaped', async (_what, path, words) => {
    const { author, folder } = await authorOf({ ...SMALL, [path]: 'x' })
    for (const verb of ['check', 'publish']) {
      const { code, stdout, stderr } = await author.repro(verb, folder)
      expect([verb, code]).toEqual([verb, 2])
      expect(stdout + stderr).toMatch(words)
      if (/[\x00-\x1f]/.test(path)) expect(stdout + stderr).not.toContain(path)
    }
    await expectNothingPublished(author, folder)
  })

  it('refuses a path that is no UTF-8', async () => {
    const { author, folder } = await authorOf()
    const path = Buffer.concat([Buffer.from(`${folder}/data/latin-`), Buffer.from([0xe9])])
    await writeFile(path, 'x')
    const { result } = await author.json(['publish', folder], 2)
    expect(JSON.stringify(result)).toMatch(/UTF-8/)
  })

  it('warns of Unicode look-alikes and names that differ by case, and keeps both', async () => {
    const twins = { 'data/caf\u00e9.txt': '1', 'data/cafe\u0301.txt': '2', 'data/NOTES.txt': '3' }
    const { author, folder } = await authorOf({ ...SMALL, ...twins })
    const { records, result } = await author.json(['publish', folder])
    const warnings = JSON.stringify(records.filter(({ action }) => action === 'warning'))
    expect(warnings).toContain('caf')
    expect(warnings).toContain('NOTES.txt')
    const { records: listed } = await author.json(['ls', result.key])
    const paths = listed.map(({ subject }) => subject)
    for (const path of Object.keys(twins)) expect(paths).toContain(path)
  })

  it.each([
    ['out of the folder', '../../outside'],
    ['to an absolute path', '/etc/passwd'],
  ])('refuses a symbolic link %s', async (_what, target) => {
    const { author, folder } = await authorOf()
    await symlink(target, join(folder, 'data/link'))
    const { result } = await author.json(['publish', folder], 2)
    expect(JSON.stringify(result)).toContain('data/link')
    await expectNothingPublished(author, folder)
  })

  it('refuses secrets by name, unless excluded or allowed', async () => {
    const key = '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n'
    const { author, folder } = await authorOf({
      ...SMALL,
      '.env': 'API_KEY=x1',
      'data/id_rsa': key,
    })
    const { result } = await author.json(['publish', folder], 2)
    expect(JSON.stringify(result)).toContain('.env')
    expect(JSON.stringify(result)).toContain('data/id_rsa')
    const manifest = `${SMALL['repro.yaml']}exclude: [.env]\nallowSecrets: [data/id_rsa]\n`
    await writeFile(join(folder, 'repro.yaml'), manifest)
    const { result: published } = await author.json(['publish', folder])
    const { records } = await author.json(['ls', published.key])
    expect(records.map(({ subject }) => subject)).not.toContain('.env')
    expect(records.map(({ subject }) => subject)).toContain('data/id_rsa')
  })
})

describe('get', () => {
  it('refuses to write over what the user changed, and does with --force', async () => {
    const { author, folder } = await authorOf()
    const { result } = await author.json(['publish', folder])
    await mkdir(join(author.folder, 'there'))
    await author.json(['get', result.key, './there'])
    const notes = join(author.folder, 'there/data/notes.txt')
    await writeFile(notes, 'mine\n')
    const refused = await author.json(['get', result.key, './there'], 2)
    expect(refused.result).toMatchObject({ code: 'TARGET_CHANGED' })
    await author.json(['get', result.key, './there', '--force'])
    expect((await author.repro('verify', './there')).code).toBe(0)
  })
})
