import { execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { importImage } from '../../src/image/import-image.ts'
import { formatConfig, formatManifest } from '../../src/image/oci.ts'
import { hostArchitecture } from '../../src/image/platform.ts'
import {
  errorOf,
  finish,
  imageOf,
  importFrom,
  type Member,
  sha256,
  tarOf,
  testFolder,
  unpack,
} from './helpers.ts'

const ROOTFS: readonly Member[] = [
  { name: 'bin', type: 'symlink', linkname: 'usr/bin' },
  { name: 'etc/hostname', text: 'box\n' },
  { name: 'usr/bin/tool', text: '#!/bin/sh\n', mode: 0o755 },
  { name: 'usr/bin/same', type: 'link', linkname: 'usr/bin/tool' },
]
let layer: Buffer
beforeAll(async () => {
  layer = await tarOf(ROOTFS)
})

interface Blob {
  readonly digest: string
  readonly size: number
}

/** Builds OCI layouts by hand, right or wrong. */
class Layout {
  readonly blobs = new Map<string, Buffer>()
  readonly manifests: Record<string, unknown>[] = []

  add(bytes: Buffer): Blob {
    this.blobs.set(sha256(bytes), bytes)
    return { digest: sha256(bytes), size: bytes.length }
  }

  addImage(
    layers: readonly Buffer[],
    more: Record<string, unknown> = {},
    architecture = hostArchitecture,
    stored = layers.map(bytes => gzipSync(bytes)),
  ): void {
    const config = this.add(formatConfig(architecture, layers.map(sha256)))
    const names = stored.map(bytes => this.add(bytes)) as {
      digest: `sha256:${string}`
      size: number
    }[]
    const manifest = formatManifest(config as { digest: `sha256:${string}`; size: number }, names)
    this.manifests.push({ ...this.add(manifest), ...more })
  }

  members(): Member[] {
    return [
      { name: 'oci-layout', text: '{"imageLayoutVersion":"1.0.0"}' },
      { name: 'index.json', text: JSON.stringify({ schemaVersion: 2, manifests: this.manifests }) },
      ...[...this.blobs].map(([digest, bytes]) => ({
        name: `blobs/sha256/${digest.slice(7)}`,
        text: bytes,
      })),
    ]
  }

  async writeTo(folder: string): Promise<void> {
    await mkdir(join(folder, 'blobs/sha256'), { recursive: true })
    for (const { name, text } of this.members()) await writeFile(join(folder, name), text ?? '')
  }
}

const platform = (architecture: string) => ({ platform: { os: 'linux', architecture } })
const named = (name: string) => ({ annotations: { 'org.opencontainers.image.ref.name': name } })

async function sourceOf(bytes: Buffer, name = 'image.bin'): Promise<string> {
  const folder = await testFolder()
  await writeFile(join(folder, name), bytes)
  return folder
}

async function importBytes(bytes: Buffer, source = 'image.bin') {
  const folder = await sourceOf(bytes)
  return await importFrom({ source }, folder, join(folder, 'cache'))
}

async function dockerArchive(tags: readonly string[][] = [['box:1']]): Promise<Buffer> {
  const config = formatConfig(hostArchitecture, [sha256(layer)])
  const images = tags.map(RepoTags => ({ Config: 'c.json', RepoTags, Layers: ['aa/layer.tar'] }))
  return await tarOf([
    { name: 'blob.tar', text: layer },
    { name: 'aa/layer.tar', type: 'symlink', linkname: '../blob.tar' },
    { name: 'c.json', text: config },
    { name: 'manifest.json', text: JSON.stringify(images) },
  ])
}

describe('every format gives the same rootfs', () => {
  test('and is recognised by its content', async () => {
    const folder = await testFolder()
    const layout = new Layout()
    layout.addImage([layer])
    await layout.writeTo(join(folder, 'layout'))
    const ociTar = await tarOf(layout.members())
    await mkdir(join(folder, 'rootfs'))
    await writeFile(join(folder, 'rootfs.bin'), layer)
    execFileSync('tar', ['-xf', join(folder, 'rootfs.bin'), '-C', join(folder, 'rootfs')])
    await writeFile(join(folder, 'rootfs.gz.bin'), gzipSync(layer))
    await writeFile(join(folder, 'oci.bin'), ociTar)
    await writeFile(join(folder, 'oci.gz.bin'), gzipSync(ociTar))
    await writeFile(join(folder, 'docker.bin'), await dockerArchive())
    const kinds: Record<string, string> = {
      layout: 'oci-layout',
      'oci:layout': 'oci-layout',
      'oci.bin': 'oci-archive',
      'oci.gz.bin': 'oci-archive',
      'oci-archive:oci.bin': 'oci-archive',
      'docker.bin': 'docker-archive',
      'docker-archive:docker.bin:box:1': 'docker-archive',
      'rootfs.bin': 'rootfs-tar',
      'tar:rootfs.gz.bin': 'rootfs-tar',
      rootfs: 'rootfs-folder',
      'dir:rootfs': 'rootfs-folder',
    }
    const trees = new Set<string>()
    for (const [source, kind] of Object.entries(kinds)) {
      const cache = join(folder, `cache-${Object.keys(kinds).indexOf(source)}`)
      const imported = await importFrom({ source, recipe: 'Dockerfile' }, folder, cache)
      expect(imported.resolved.origin.kind).toBe(kind)
      expect(imported.resolved.recipe).toBe('Dockerfile')
      expect(imported.resolved.architecture).toBe(hostArchitecture)
      expect(imported.files.map(file => file.path)).toContain('oci-layout')
      for (const { digest } of imported.resolved.layers)
        expect(sha256(await readFile(join(imported.layout, 'blobs/sha256', digest.slice(7))))).toBe(
          digest,
        )
      trees.add((await unpack(imageOf(imported), cache)).treeHash)
    }
    expect(trees.size).toBe(1)
  })

  test('the rootfs folder gives the same image whatever its times and the order of its names', async () => {
    const folder = await testFolder()
    await mkdir(join(folder, 'a/usr'), { recursive: true })
    for (const name of ['z', 'a', 'm']) await writeFile(join(folder, 'a/usr', name), name)
    await symlink('usr/z', join(folder, 'a/link'))
    await cp(join(folder, 'a'), join(folder, 'b'), { recursive: true, verbatimSymlinks: true })
    await utimes(join(folder, 'b/usr/a'), 1, 1)
    const cache = join(folder, 'cache')
    const one = await importFrom({ source: 'a' }, folder, cache)
    const two = await importFrom({ source: 'b' }, folder, cache)
    expect(two.resolved.digest).toBe(one.resolved.digest)
  })
})

describe('an unchanged source', () => {
  test('is not read again; a changed one is', async () => {
    const folder = await sourceOf(layer)
    const options = { folder, cache: join(folder, 'cache') }
    const first = await finish(importImage({ source: 'image.bin' }, options))
    const second = await finish(importImage({ source: 'image.bin' }, options))
    expect(second.result).toEqual(first.result)
    expect(second.records).toEqual([{ action: 'image', status: 'unchanged', subject: 'image.bin' }])
    await writeFile(join(folder, 'image.bin'), await tarOf([{ name: 'etc/other', text: 'x' }]))
    const third = await finish(importImage({ source: 'image.bin' }, options))
    expect(third.result.resolved.digest).not.toBe(first.result.resolved.digest)
    await rm(third.result.layout, { recursive: true })
    const fourth = await finish(importImage({ source: 'image.bin' }, options))
    expect(fourth.result).toEqual(third.result)
  })

  test('two imports at once give one layout', async () => {
    const folder = await sourceOf(layer)
    const cache = join(folder, 'cache')
    const both = await Promise.all(
      [1, 2].map(() => importFrom({ source: 'image.bin' }, folder, cache)),
    )
    expect(both[1]).toEqual(both[0])
    expect(await readdir(join(cache, 'tmp'))).toEqual([])
  })
})

describe('a choice', () => {
  test('of platforms falls on this host, and is told', async () => {
    const other = hostArchitecture === 'arm64' ? 'amd64' : 'arm64'
    const layout = new Layout()
    layout.addImage([await tarOf([{ name: 'etc/other', text: 'x' }])], platform(other), other)
    layout.addImage([layer], platform(hostArchitecture))
    layout.manifests.push({
      ...layout.add(Buffer.from('{}')),
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
      platform: { os: 'unknown', architecture: 'unknown' },
    })
    const inner = layout.add(
      Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: layout.manifests })),
    )
    layout.manifests.splice(0, 9, {
      ...inner,
      mediaType: 'application/vnd.oci.image.index.v1+json',
    })
    const folder = await sourceOf(await tarOf(layout.members()))
    const options = { folder, cache: join(folder, 'cache') }
    const { result, records } = await finish(importImage({ source: 'image.bin' }, options))
    expect(result.resolved.layers[0]!.digest).toBe(sha256(layer))
    expect(records.find(({ action }) => action === 'note')?.message).toBe(
      `chose linux/${hostArchitecture} of linux/${other}, linux/${hostArchitecture}`,
    )
  })

  test('an image for another processor is imported with a warning', async () => {
    const other = hostArchitecture === 'arm64' ? 'amd64' : 'arm64'
    const layout = new Layout()
    layout.addImage([layer], platform(other), other)
    const folder = await sourceOf(await tarOf(layout.members()))
    const options = { folder, cache: join(folder, 'cache') }
    const { result, records } = await finish(importImage({ source: 'image.bin' }, options))
    expect(result.resolved.architecture).toBe(other)
    expect(records.find(({ action }) => action === 'warning')?.message).toContain(`is for ${other}`)
  })

  test('of several tags is left to the author', async () => {
    const layout = new Layout()
    layout.addImage([layer], named('v1'))
    layout.addImage([await tarOf([{ name: 'etc/two', text: 'x' }])], named('v2'))
    const oci = await tarOf(layout.members())
    const error = await errorOf(importBytes(oci))
    expect(error.code).toBe('IMAGE_SOURCE')
    expect(error.hints).toEqual(['source: <path>:v1', 'source: <path>:v2'])
    expect((await importBytes(oci, 'image.bin:v1')).resolved.layers[0]!.digest).toBe(sha256(layer))
    expect((await errorOf(importBytes(oci, 'image.bin:v3'))).message).toContain('no image "v3"')
    const docker = await dockerArchive([['box:1'], ['localhost/box:2', 'box:latest']])
    expect((await errorOf(importBytes(docker))).message).toContain(
      'box:1, localhost/box:2, box:latest',
    )
    await importBytes(docker, 'docker-archive:image.bin:box:2')
  })
})

describe('damaged images are IMAGE_INVALID and name the blob', () => {
  test.each([
    ['a layer with other bytes', (b: Buffer): Uint8Array => b.fill(7, 30, 40)],
    ['a layer cut short', (b: Buffer): Uint8Array => b.subarray(0, b.length - 9)],
    ['a layer with more bytes', (b: Buffer): Uint8Array => Buffer.concat([b, Buffer.from('more')])],
  ])('%s', async (_, damage) => {
    for (const stored of [gzipSync(layer), Buffer.from(layer)]) {
      const layout = new Layout()
      layout.addImage([layer], {}, hostArchitecture, [stored])
      layout.blobs.set(sha256(stored), Buffer.from(damage(Buffer.from(stored))))
      const error = await errorOf(importBytes(await tarOf(layout.members())))
      expect(error.code).toBe('IMAGE_INVALID')
      expect(error.message).toContain(sha256(stored))
    }
  })

  test('a blob that is missing, a manifest or configuration with other bytes', async () => {
    const broken = (which: (blob: Buffer) => boolean, replace: Buffer | null) => {
      const layout = new Layout()
      layout.addImage([layer])
      const [digest] = [...layout.blobs].find(([, bytes]) => which(bytes))!
      if (replace) layout.blobs.set(digest, replace)
      else layout.blobs.delete(digest)
      return { layout, digest }
    }
    const isConfig = (bytes: Buffer) => bytes.includes('"rootfs"')
    const isManifest = (bytes: Buffer) => bytes.includes('"layers":[')
    const isLayer = (bytes: Buffer) => bytes[0] === 0x1f
    for (const { layout, digest } of [
      broken(isConfig, null),
      broken(isManifest, null),
      broken(isLayer, null),
      broken(isConfig, Buffer.from('{}')),
      broken(bytes => isManifest(bytes) && !isConfig(bytes), Buffer.from('{}')),
    ]) {
      const error = await errorOf(importBytes(await tarOf(layout.members())))
      expect(error.code).toBe('IMAGE_INVALID')
      expect(error.message).toContain(digest)
    }
  })

  test('a layer that unpacks to something else than the configuration says', async () => {
    const layout = new Layout()
    layout.addImage([layer], {}, hostArchitecture, [
      gzipSync(await tarOf([{ name: 'x', text: '' }])),
    ])
    const error = await errorOf(importBytes(await tarOf(layout.members())))
    expect(error.code).toBe('IMAGE_INVALID')
    expect(error.message).toContain('but the configuration says')
  })

  test('an archive cut short, a broken layer tar, and nothing is left of them', async () => {
    const docker = await dockerArchive()
    const folder = await sourceOf(docker.subarray(0, docker.length - 1400))
    const cache = join(folder, 'cache')
    expect((await errorOf(importFrom({ source: 'image.bin' }, folder, cache))).code).toBe(
      'IMAGE_INVALID',
    )
    expect(await readdir(join(cache, 'tmp'))).toEqual([])
    const layout = new Layout()
    layout.addImage([Buffer.from('no tar at all'.repeat(99))])
    expect((await errorOf(importBytes(await tarOf(layout.members())))).code).toBe('IMAGE_INVALID')
    const gz = gzipSync(layer)
    expect((await errorOf(importBytes(gz.subarray(0, gz.length - 20)))).message).toContain('gzip')
  })
})

describe('sources that are not read (yet) say what to do', () => {
  test.each([
    ['docker://alpine', 'skopeo copy'],
    ['docker-daemon:alpine:3', 'docker save'],
    ['containers-storage:alpine', 'podman save --format oci-archive'],
    ['sif:tools.sif', 'apptainer build --sandbox'],
    ['https://example.org/image.tar', 'curl'],
  ])('%s', async (source, hint) => {
    const folder = await testFolder()
    const error = await errorOf(importFrom({ source }, folder, folder))
    expect(error.code).toBe('IMAGE_SOURCE')
    expect(error.message).toContain('not supported yet')
    expect(error.message).toContain('oci-archive')
    expect(error.hints.join()).toContain(hint)
  })

  test.each([
    ['zstd', Buffer.from('28b52ffd00000000', 'hex'), 'zstd -d image.bin'],
    ['xz', Buffer.from('fd377a585a000000', 'hex'), 'xz -d image.bin'],
    ['squashfs', Buffer.from('hsqs0000'), 'unsquashfs'],
    ['SIF', Buffer.concat([Buffer.alloc(32), Buffer.from('SIF_MAGIC\0')]), 'apptainer'],
  ])('a file in %s', async (_, bytes, hint) => {
    const error = await errorOf(importBytes(bytes))
    expect(error.code).toBe('IMAGE_SOURCE')
    expect(error.hints.join()).toContain(hint)
  })

  test('a layer in zstd', async () => {
    const layout = new Layout()
    layout.addImage([layer], {}, hostArchitecture, [Buffer.from('28b52ffd00000000', 'hex')])
    const error = await errorOf(importBytes(await tarOf(layout.members())))
    expect(error.code).toBe('IMAGE_SOURCE')
    expect(error.message).toContain('zstd')
  })

  test('what is called by a wrong name, is missing, or is no image', async () => {
    const folder = await sourceOf(layer)
    const ask = (source: string) => errorOf(importFrom({ source }, folder, join(folder, 'cache')))
    expect((await ask('oci-archive:image.bin')).message).toContain('by its content is rootfs-tar')
    expect((await ask('image.bim')).hints[0]).toBe('did you mean "image.bin"?')
    expect((await ask('image.bin:v1')).message).toContain('has no tag')
    await mkdir(join(folder, 'empty'))
    expect((await ask('empty')).message).toContain('holds no image')
    await writeFile(join(folder, 'text'), 'x'.repeat(2000))
    expect((await ask('text')).code).toBe('IMAGE_INVALID')
    await writeFile(join(folder, 'data.tar'), await tarOf([{ name: 'reads.fq', text: 'x' }]))
    expect((await ask('data.tar')).message).toContain('holds no image')
  })
})

describe('an image in the cache', () => {
  test.each([
    ['the same source', 'image.bin'],
    ['another source of it', 'again.bin'],
  ])('of which a bit turned around is imported anew, from %s', async (_, source) => {
    const folder = await sourceOf(layer)
    await writeFile(join(folder, 'again.bin'), gzipSync(layer))
    const cache = join(folder, 'cache')
    const first = await importFrom({ source: 'image.bin' }, folder, cache)
    await importFrom({ source: 'image.bin' }, folder, cache)
    const blob = join(first.layout, 'blobs/sha256', first.resolved.layers[0]!.digest.slice(7))
    const good = await readFile(blob)
    const bad = Buffer.from(good)
    bad[bad.length >> 1] = bad[bad.length >> 1]! ^ 1
    await writeFile(blob, bad)
    const again = await importFrom({ source }, folder, cache)
    expect(again.layout).toBe(first.layout)
    expect((await readFile(blob)).equals(good)).toBe(true)
    expect(again.files).toEqual(first.files)
  })
})
