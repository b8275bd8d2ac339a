import { appendFileSync, mkdirSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { randomBytesOf } from '../../bench/lib/seeded.ts'
import { Person, scratch } from '../helpers/cli.ts'
import { answerWhileStopped } from './kill.ts'

const FILES = 300
const LARGE_BYTES = 9 << 20

/** What may happen to a file while it is published, and what it is then. */
const CHANGES: Record<string, (path: string) => void> = {
  'is appended to': path => appendFileSync(path, 'more'),
  'is truncated': path => truncateSync(path, 1000),
  'is replaced': path => {
    writeFileSync(`${path}.tmp`, randomBytesOf('replaced')(LARGE_BYTES))
    renameSync(`${path}.tmp`, path)
  },
}

function analysis(place: string): { source: string; large: string } {
  const source = join(place, 'analysis')
  const next = randomBytesOf('moving')
  mkdirSync(join(source, 'data'), { recursive: true })
  writeFileSync(join(source, 'repro.yaml'), 'repro: 1\nname: moving\nlicense: MIT\n')
  for (let i = 0; i < FILES; i++) writeFileSync(join(source, `data/a${i}.bin`), next(9000))
  const large = join(source, 'data/z-large.bin')
  writeFileSync(large, next(LARGE_BYTES))
  return { source, large }
}

test.for(Object.keys(CHANGES))(
  'a file that %s while the folder is hashed is refused or published as one of its states, never as a mixture',
  async change => {
    const place = scratch()
    const { source, large } = analysis(place)
    const author = new Person(join(place, 'author'))
    const outcome = await answerWhileStopped(author, ['publish', source, '--json'], 'hash:1', () =>
      CHANGES[change]!(large),
    )
    if (outcome.code !== 0) {
      expect(outcome.code).toBe(1)
      expect(outcome.stdout).toContain('"SOURCE_CHANGED"')
      expect(outcome.stdout).toContain('z-large.bin')
    }
    const { result } = await author.json(['publish', source])
    expect(result.release).toBe(1)
    await author.json(['verify', result.key])
    const { records } = await author.json(['ls', result.key])
    expect(records.filter(({ action }) => action === 'entry')).toHaveLength(FILES + 2)
  },
)

test('a file that changes between its hash and the release record leaves the release as it was hashed', async () => {
  const place = scratch()
  const { source, large } = analysis(place)
  const author = new Person(join(place, 'author'))
  const args = ['publish', source, '--json']
  const outcome = await answerWhileStopped(author, args, 'record:1', () =>
    CHANGES['is replaced']!(large),
  )
  expect(outcome.code).toBe(0)
  const first = JSON.parse(outcome.stdout.trim().split('\n').at(-1)!).data
  await author.json(['verify', `${first.key}@1`])
  const second = (await author.json(['publish', source])).result
  expect(second.release).toBe(2)
  expect(second.contentHash).not.toBe(first.contentHash)
  for (const release of [1, 2]) await author.json(['verify', `${first.key}@${release}`])
})
