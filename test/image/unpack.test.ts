import { spawn } from 'node:child_process'
import { lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MOUNT_POINTS } from '../../src/core/mount-points.ts'
import { rootfsTreeHash } from '../../src/image/rootfs-hash.ts'
import { unpackImage } from '../../src/image/unpack/unpack-image.ts'
import {
  errorOf,
  imageOfLayers,
  type Member,
  sha256,
  tarOf,
  testFolder,
  unpack,
} from './helpers.ts'

async function unpackTars(...tars: (readonly Member[])[]) {
  const cache = await testFolder()
  const image = imageOfLayers(await Promise.all(tars.map(tarOf)))
  return { cache, image, unpacked: await unpack(image, cache) }
}

/** Everything in a folder, relative, without the mount points. */
async function listing(root: string, below = ''): Promise<string[]> {
  const lines: string[] = []
  for (const name of (await readdir(join(root, below))).sort()) {
    if (below === '' && MOUNT_POINTS.some(point => point.split('/')[1] === name)) continue
    const path = below === '' ? name : `${below}/${name}`
    const stats = await lstat(join(root, path))
    if (stats.isSymbolicLink()) lines.push(`${path} -> ${await readlink(join(root, path))}`)
    else if (stats.isDirectory()) lines.push(`${path}/`, ...(await listing(root, path)))
    else lines.push(`${path} = ${await readFile(join(root, path), 'utf8')}`)
  }
  return lines
}

describe('layers over each other', () => {
  test('a later layer replaces, deletes and empties', async () => {
    const { unpacked } = await unpackTars(
      [
        { name: 'a', text: 'old' },
        { name: 'gone', text: 'x' },
        { name: 'gone-folder/deep/file', text: 'x' },
        { name: 'emptied/old', text: 'x' },
        { name: 'kept/file', text: 'kept' },
      ],
      [
        { name: 'a', text: 'new' },
        { name: '.wh.gone', text: '' },
        { name: '.wh.gone-folder', text: '' },
        { name: 'emptied/new', text: 'n' },
        { name: 'emptied/.wh..wh..opq', text: '' },
        { name: 'kept/.wh.never-there', text: '' },
      ],
    )
    expect(await listing(unpacked.path)).toEqual([
      'a = new',
      'emptied/',
      'emptied/new = n',
      'kept/',
      'kept/file = kept',
    ])
  })

  test('a deletion does not touch what its own layer brings', async () => {
    const { unpacked } = await unpackTars(
      [{ name: 'd/old', text: 'x' }],
      [
        { name: 'd/new', text: 'n' },
        { name: '.wh.d', text: '' },
      ],
    )
    expect(await listing(unpacked.path)).toEqual(['d/', 'd/new = n'])
  })

  test('the last of two entries with one name wins, whatever their types', async () => {
    const { unpacked } = await unpackTars([
      { name: 'a', text: 'first' },
      { name: 'a', text: 'second' },
      { name: 'b/inner', text: 'x' },
      { name: 'b', type: 'symlink', linkname: 'a' },
      { name: 'c', type: 'symlink', linkname: 'a' },
      { name: 'c/', type: 'directory' },
    ])
    expect(await listing(unpacked.path)).toEqual(['a = second', 'b -> a', 'c/'])
  })

  test('a hard link shares bytes until one of its names is replaced', async () => {
    const { unpacked } = await unpackTars(
      [
        { name: 'a', text: 'shared' },
        { name: 'b', type: 'link', linkname: 'a' },
        { name: 'l', type: 'symlink', linkname: 'a' },
        { name: 'm', type: 'link', linkname: '/l' },
      ],
      [{ name: 'a', text: 'other' }],
    )
    expect(await listing(unpacked.path)).toEqual(['a = other', 'b = shared', 'l -> a', 'm -> a'])
  })

  test('long names, names that are no UTF-8, and old formats survive', async () => {
    const long = `${'x'.repeat(120)}/${'y'.repeat(120)}`
    const { unpacked } = await unpackTars([
      { name: long, text: 'deep' },
      { name: 'naïve', text: 'é' },
    ])
    expect(await readFile(join(unpacked.path, long), 'utf8')).toBe('deep')
    expect(await readFile(join(unpacked.path, 'naïve'), 'utf8')).toBe('é')
    expect(await rootfsTreeHash(unpacked.path)).toBe(unpacked.treeHash)
    const raw = await tarOf([{ name: 'Zname', text: 'latin' }])
    raw[0] = 0xe9
    const sum = [...raw.subarray(0, 512)].reduce(
      (total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte),
      0,
    )
    raw.write(sum.toString(8).padStart(6, '0'), 148)
    const cache = await testFolder()
    const latin = await unpack(imageOfLayers([raw]), cache)
    const names = await readdir(latin.path, { encoding: 'latin1' })
    expect(names).toContain('éname')
    expect(await rootfsTreeHash(latin.path)).toBe(latin.treeHash)
  })

  test('modes lose their special bits, folders can be entered, special files are left out', async () => {
    const { unpacked } = await unpackTars([
      { name: 'suid', text: 'x', mode: 0o6755 },
      { name: 'secret', text: 'x', mode: 0o020 },
      { name: 'wide', text: 'x', mode: 0o666 },
      { name: 'shut/', type: 'directory', mode: 0o022 },
      { name: 'shut/in', text: 'x' },
      { name: 'dev/null', type: 'character-device', devmajor: 1, devminor: 3 },
      { name: 'disk', type: 'block-device' },
      { name: 'pipe', type: 'fifo' },
    ])
    const mode = async (path: string) => (await lstat(join(unpacked.path, path))).mode & 0o7777
    expect(await mode('suid')).toBe(0o755)
    expect(await mode('secret')).toBe(0o400)
    expect(await mode('wide')).toBe(0o644)
    expect(await mode('shut')).toBe(0o700)
    expect(await listing(unpacked.path)).not.toContain('pipe')
    expect(await readdir(join(unpacked.path, 'dev'))).toEqual([])
    expect((await lstat(join(unpacked.path, 'suid'))).uid).toBe(process.getuid!())
  })
})

describe('nothing leads outside', () => {
  const outside = async () => {
    const cache = await testFolder()
    const victim = join(cache, 'victim')
    await mkdir(victim)
    await writeFile(join(victim, 'file'), 'precious')
    return { cache, victim }
  }

  test('absolute names and .. are taken from the root of the image', async () => {
    const { unpacked } = await unpackTars([
      { name: '/abs', text: '1' },
      { name: '../../../up', text: '2' },
      { name: 'a/../../b/../c', text: '3' },
    ])
    expect(await listing(unpacked.path)).toEqual(['a/', 'abs = 1', 'b/', 'c = 3', 'up = 2'])
  })

  test('a link of an earlier layer is followed inside only', async () => {
    const { cache, victim } = await outside()
    const image = imageOfLayers([
      await tarOf([
        { name: 'abs', type: 'symlink', linkname: victim },
        { name: 'up', type: 'symlink', linkname: '../../../../../../../..' },
        { name: 'final', type: 'symlink', linkname: join(victim, 'file') },
        { name: 'lib', type: 'symlink', linkname: 'usr/lib' },
      ]),
      await tarOf([
        { name: 'abs/file', text: 'evil' },
        { name: 'up/there', text: 'evil' },
        { name: 'final', text: 'evil' },
        { name: 'lib/new.so', text: 'lib' },
      ]),
    ])
    const { path } = await unpack(image, cache)
    expect(await readFile(join(victim, 'file'), 'utf8')).toBe('precious')
    expect(await readFile(join(path, victim.slice(1), 'file'), 'utf8').catch(() => 'in tmp')).toBe(
      'evil',
    )
    expect(await readFile(join(path, 'there'), 'utf8')).toBe('evil')
    expect(await readFile(join(path, 'final'), 'utf8')).toBe('evil')
    expect(await readFile(join(path, 'usr/lib/new.so'), 'utf8')).toBe('lib')
  })

  test('a whiteout through a link removes nothing outside', async () => {
    const { cache, victim } = await outside()
    const image = imageOfLayers([
      await tarOf([
        { name: 'abs', type: 'symlink', linkname: victim },
        { name: 'up', type: 'symlink', linkname: '../../victim' },
      ]),
      await tarOf([
        { name: 'abs/.wh.file', text: '' },
        { name: 'abs/.wh..wh..opq', text: '' },
        { name: 'up/.wh.file', text: '' },
        { name: '../../victim/.wh.file', text: '' },
      ]),
    ])
    await unpack(image, cache)
    expect(await readFile(join(victim, 'file'), 'utf8')).toBe('precious')
  })

  test('a deleted link goes, what it points to stays', async () => {
    const { unpacked } = await unpackTars(
      [
        { name: 'real/file', text: 'x' },
        { name: 'link', type: 'symlink', linkname: 'real' },
      ],
      [{ name: '.wh.link', text: '' }],
    )
    expect(await listing(unpacked.path)).toEqual(['real/', 'real/file = x'])
  })

  test.each([
    ['outside', '../../victim/file'],
    ['absolute', '/etc/passwd'],
    ['to a folder', 'folder'],
    ['to nothing', 'missing'],
  ])('a hard link %s is refused, and nothing is left', async (_, linkname) => {
    const { cache } = await outside()
    const image = imageOfLayers([
      await tarOf([
        { name: 'folder/', type: 'directory' },
        { name: 'hard', type: 'link', linkname },
      ]),
    ])
    const error = await errorOf(unpack(image, cache))
    expect(error.code).toBe('IMAGE_INVALID')
    expect(error.message).toContain('"hard"')
    expect(await readdir(join(cache, 'tmp'))).toEqual([])
    expect(await readdir(join(cache, 'rootfs')).catch(() => [])).toEqual([])
  })

  test.each([
    ['a whiteout without a name', [{ name: '.wh.', text: '' }]],
    ['a whiteout of ..', [{ name: 'a/.wh...', text: '' }]],
    [
      'links that go round',
      [
        { name: 'a', type: 'symlink', linkname: 'b' },
        { name: 'b', type: 'symlink', linkname: 'a' },
        { name: 'a/x', text: '' },
      ],
    ],
    [
      'a file above a file',
      [
        { name: 'f', text: 'x' },
        { name: 'f/x', text: '' },
      ],
    ],
    ['a file in place of the root', [{ name: '..', text: 'x' }]],
  ] as [string, Member[]][])('%s is IMAGE_INVALID', async (_, members) => {
    const error = await errorOf(unpackTars(members))
    expect(error.code).toBe('IMAGE_INVALID')
  })
})

describe('mount points', () => {
  test('are real folders, and stand outside of the tree hash', async () => {
    const plain = await unpackTars([{ name: 'etc/x', text: 'x' }])
    const odd = await unpackTars([
      { name: 'etc/x', text: 'x' },
      { name: 'tmp', type: 'symlink', linkname: '/etc' },
      { name: 'run', type: 'symlink', linkname: 'var/run' },
      { name: 'repro', text: 'a file' },
      { name: 'dev/console', text: 'a file' },
    ])
    for (const { unpacked } of [plain, odd]) {
      for (const point of MOUNT_POINTS)
        expect((await lstat(join(unpacked.path, point))).isDirectory()).toBe(true)
      expect(await rootfsTreeHash(unpacked.path)).toBe(unpacked.treeHash)
    }
    expect(odd.unpacked.treeHash).toBe(plain.unpacked.treeHash)
  })

  test('the tree hash sees bytes, names, the executable bit and link targets', async () => {
    const trees: Member[][] = [
      [{ name: 'a', text: 'x' }],
      [{ name: 'a', text: 'y' }],
      [{ name: 'b', text: 'x' }],
      [{ name: 'a', text: 'x', mode: 0o755 }],
      [{ name: 'a', type: 'symlink', linkname: 'x' }],
      [{ name: 'a', type: 'symlink', linkname: 'y' }],
      [{ name: 'a', type: 'directory' }],
    ]
    const hashes = await Promise.all(
      trees.map(async tree => (await unpackTars(tree)).unpacked.treeHash),
    )
    expect(new Set(hashes).size).toBe(trees.length)
  })
})

describe('bytes that are not those named', () => {
  test('a changed, a short and a long layer are HASH_MISMATCH, and nothing is left', async () => {
    const layer = await tarOf([{ name: 'a', text: 'a'.repeat(4000) }])
    const changed = Buffer.from(layer)
    changed[600] = 66
    const broken = Buffer.from(layer)
    broken[3] = 66
    for (const bytes of [changed, broken, layer.subarray(0, 2000), Buffer.concat([layer, layer])]) {
      const cache = await testFolder()
      const image = imageOfLayers([layer])
      const liar = {
        ...image,
        async *openBlob(digest: string) {
          if (digest === image.manifestDigest) yield* image.openBlob(digest)
          else yield bytes
        },
      }
      const error = await errorOf(unpack(liar, cache))
      expect(error.code).toBe('HASH_MISMATCH')
      expect(error.exitCode).toBe(5)
      expect(error.message).toContain(image.layers[0]!.digest)
      expect(await readdir(join(cache, 'tmp'))).toEqual([])
      expect(await readdir(join(cache, 'rootfs')).catch(() => [])).toEqual([])
    }
  })

  test('layers that the manifest does not name cannot take its place in the cache', async () => {
    const honest = imageOfLayers([await tarOf([{ name: 'a', text: 'honest' }])])
    const evil = imageOfLayers([await tarOf([{ name: 'a', text: 'evil' }])])
    const mixed = {
      ...evil,
      manifestDigest: honest.manifestDigest,
      openBlob: (digest: string) =>
        digest === honest.manifestDigest ? honest.openBlob(digest) : evil.openBlob(digest),
    }
    const cache = await testFolder()
    expect((await errorOf(unpack(mixed, cache))).code).toBe('HASH_MISMATCH')
    await unpack(honest, cache)
    expect((await errorOf(unpack(mixed, cache))).code).toBe('HASH_MISMATCH')
  })

  test('a configuration that the manifest does not name is refused', async () => {
    const honest = imageOfLayers([await tarOf([{ name: 'a', text: 'honest' }])])
    const other = { ...honest, config: sha256(Buffer.from('{"config":{}}')) }
    expect((await errorOf(unpack(other, await testFolder()))).code).toBe('HASH_MISMATCH')
  })
})

describe('the cache', () => {
  test('a second unpack uses it; a folder without a marker is made anew', async () => {
    const { cache, image, unpacked } = await unpackTars([{ name: 'a', text: 'x' }])
    const again = await unpack(image, cache)
    expect(again).toEqual({ ...unpacked, fromCache: true })
    await writeFile(`${unpacked.path}.json`, 'no marker')
    await writeFile(join(unpacked.path, 'foreign'), '')
    const anew = await unpack(image, cache)
    expect(anew.fromCache).toBe(false)
    expect(await listing(anew.path)).toEqual(['a = x'])
  })

  test('several at once give one rootfs', async () => {
    const cache = await testFolder()
    const members = Array.from({ length: 300 }, (_, i) => ({
      name: `d${i % 7}/f${i}`,
      text: `${i}`,
    }))
    const image = imageOfLayers([await tarOf(members)])
    const all = await Promise.all([1, 2, 3].map(() => unpack(image, cache)))
    expect(new Set(all.map(one => one.treeHash)).size).toBe(1)
    expect(await rootfsTreeHash(all[0]!.path)).toBe(all[0]!.treeHash)
    expect(await readdir(join(cache, 'tmp'))).toEqual([])
  })

  test('an interrupted unpack leaves nothing', async () => {
    const cache = await testFolder()
    const image = imageOfLayers([await tarOf([{ name: 'a', text: 'x' }])])
    const abort = new AbortController()
    const slow = {
      ...image,
      async *openBlob(digest: string) {
        if (digest !== image.manifestDigest) abort.abort()
        yield* image.openBlob(digest)
      },
    }
    const work = unpackImage(slow, cache, abort.signal)
    await expect(
      (async () => {
        for await (const _ of work);
      })(),
    ).rejects.toThrow(/abort/i)
    expect(await readdir(join(cache, 'tmp'))).toEqual([])
  })

  test('what a killed unpack left is removed by the next one', async () => {
    const { cache, image } = await unpackTars([{ name: 'a', text: 'x' }])
    const child = spawn(process.execPath, ['-e', ''])
    await new Promise(resolve => child.once('exit', resolve))
    // The folder of a process that is gone, named as this host names them.
    const { makeScratchFolder } = await import('../../src/system/scratch-folder.ts')
    const mine = await makeScratchFolder(cache, 'rootfs')
    const dead = mine.replace(`.${process.pid}.`, `.${child.pid}.`)
    await mkdir(join(dead, 'half'), { recursive: true })
    await symlink('/etc', join(dead, 'link'))
    await unpack(imageOfLayers([await tarOf([{ name: 'b', text: 'y' }])]), cache)
    const left = await readdir(join(cache, 'tmp'))
    expect(left.map(name => join(cache, 'tmp', name))).toEqual([mine])
    expect((await unpack(image, cache)).fromCache).toBe(true)
  })
})
