import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createWriteStream, readdirSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { pack } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { answerOf, Person, program, scratch } from '../helpers/cli.ts'
import { tarToOciArchive } from '../helpers/oci-archive.ts'
import { requires } from '../helpers/requires.ts'
import { authorOf, MANIFEST, SMALL } from './bundles.ts'

describe('an image for another CPU', () => {
  const other = process.arch === 'arm64' ? 'x64' : 'arm64'

  it('can be published, and is refused before it is run: exit 6, saying why', async () => {
    const { author, folder } = await authorOf({
      ...SMALL,
      'repro.yaml': MANIFEST.replace('{host: [bash]}', '{source: images/other.tar}'),
    })
    await mkdir(join(folder, 'images'))
    const rootfs = join(scratch(), 'rootfs.tar')
    const tar = pack()
    const written = pipeline(tar, createWriteStream(rootfs))
    tar.entry({ name: 'bin/bash', mode: 0o755 }, 'no program of this host')
    tar.finalize()
    await written
    await tarToOciArchive(rootfs, join(folder, 'images/other.tar'), { architecture: other })
    const { result: release } = await author.json(['publish', folder])
    const { result } = await author.json(['run', release.key], 6)
    expect(result.code).toBe('NO_RUNTIME')
    expect(JSON.stringify(result)).toMatch(/arm64|amd64/)
    const { stdout, stderr, code } = await author.repro('run', release.key, '--plan')
    expect(code).toBe(6)
    expect(stdout + stderr).toMatch(/arm64|amd64/)
  })
})

describe('a full disk', () => {
  /** On a disk of 80 MB: publishes, makes room, and publishes again. Prints each answer's last line. */
  const SCRIPT = `
    mount -t tmpfs -o size=80m tmpfs "$1" || exit 99
    head -c 80000000 /dev/zero >"$1/filler" || exit 98
    export REPRO_HOME="$1/home"
    "$2" "$3" publish "$4" --json | tail -n 1
    echo "code \${PIPESTATUS[0]}"
    find "$1" -name '*.tmp*' | wc -l
    ls "$1/home/bundles"
    rm "$1/filler"
    "$2" "$3" publish "$4" --json | tail -n 1
    echo "code \${PIPESTATUS[0]}"
    ls "$1/home/bundles"
    "$2" "$3" verify "$(grep -oE '"key": *"[a-z0-9]{52}"' "$4/.repro/bundle.json" | grep -oE '[a-z0-9]{52}')" --json | tail -n 1
    echo "code \${PIPESTATUS[0]}"
  `

  it('stops publish with exit 1, nothing half-written; the next one goes on', async test => {
    requires(test, 'user namespaces')
    const person = new Person(scratch())
    const disk = join(person.folder, 'disk')
    await mkdir(disk)
    const { folder } = await authorOf({
      ...SMALL,
      'repro.yaml': 'repro: 1\nname: large\nlicense: MIT\n',
      'data/random.bin': randomBytes(10 << 20),
    })
    const { stdout, stderr, status } = spawnSync(
      'unshare',
      [
        ...['--user', '--map-root-user', '--mount', '--'],
        ...['bash', '-c', SCRIPT, 'bash', disk, process.execPath, program, folder],
      ],
      { encoding: 'utf8', env: person.environment, timeout: 120_000 },
    )
    expect([status, stderr]).toEqual([0, expect.anything()])
    const [refused, code, leftovers, begun, published, codeAgain, kept, , codeVerified, ...rest] =
      stdout.split('\n')
    expect(rest).toEqual([''])
    expect(code).toBe('code 1')
    expect(answerOf(refused!).result).toMatchObject({ code: 'DISK_FULL' })
    expect(leftovers).toBe('0')
    expect(codeAgain).toBe('code 0')
    expect(answerOf(published!).result).toMatchObject({ release: 1, published: true })
    expect([begun, kept]).toEqual(Array(2).fill(`${answerOf(published!).result.key}.json`))
    expect(codeVerified).toBe('code 0')
    expect(readdirSync(disk)).toEqual([])
  })

  it('stops a run with exit 1, and the next one goes on', async test => {
    requires(test, 'user namespaces')
    const { author, folder } = await authorOf()
    const { result: release } = await author.json(['publish', folder])
    const disk = join(author.folder, 'disk')
    await mkdir(disk)
    await writeFile(join(author.folder, 'x'), '')
    const script = `
      mount -t tmpfs -o size=16m tmpfs "$1" || exit 99
      export REPRO_CACHE="$1/cache"
      head -c 15000000 /dev/zero >"$1/filler"
      "$2" "$3" run "$4" --json | tail -n 1
      echo "code \${PIPESTATUS[0]}"
      rm "$1/filler"
      "$2" "$3" run "$4" --json | tail -n 1
      echo "code \${PIPESTATUS[0]}"
    `
    const { stdout } = spawnSync(
      'unshare',
      [
        ...['--user', '--map-root-user', '--mount', '--'],
        ...['bash', '-c', script, 'bash', disk, process.execPath, program, release.key],
      ],
      { encoding: 'utf8', env: author.environment, timeout: 120_000 },
    )
    const [refused, code, ran, codeAgain] = stdout.split('\n')
    expect([code, answerOf(refused!).result.code]).toEqual(['code 1', 'DISK_FULL'])
    expect(codeAgain).toBe('code 0')
    expect(answerOf(ran!).result.receipt.verdict).toBe('reproduced')
  })
})
