import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { randomBytesOf } from '../../bench/lib/seeded.ts'
import { Person, scratch } from '../helpers/cli.ts'
import { answerWhileStopped } from './kill.ts'

const MOMENTS = ['append:1', 'record:1']

function analysis(place: string): string {
  const source = join(place, 'analysis')
  const next = randomBytesOf('two')
  mkdirSync(source, { recursive: true })
  writeFileSync(join(source, 'repro.yaml'), 'repro: 1\nname: two\nlicense: MIT\n')
  for (let i = 0; i < 20; i++) writeFileSync(join(source, `${i}.bin`), next(200_000))
  return source
}

test.for(MOMENTS)(
  'a publish that comes while another is at %s is told STORE_BUSY or waits, and every release is whole',
  async moment => {
    const place = scratch()
    const source = analysis(place)
    const author = new Person(join(place, 'author'))
    const { key } = (await author.json(['publish', source])).result
    appendFileSync(join(source, '0.bin'), 'first')
    let second: Awaited<ReturnType<Person['repro']>> | null = null
    const first = await answerWhileStopped(
      author,
      ['publish', source, '--json'],
      moment,
      async () => {
        second = await author.repro('publish', source, '--json')
      },
    )
    expect(first.code).toBe(0)
    expect(second).toMatchObject({ code: 1, stdout: expect.stringContaining('"STORE_BUSY"') })
    appendFileSync(join(source, '0.bin'), 'second')
    await author.json(['publish', source])
    await wholeHistory(author, key, 3)
  },
)

test('publishes that are started together leave one release of one content', async () => {
  const place = scratch()
  const source = analysis(place)
  const author = new Person(join(place, 'author'))
  const outcomes = await Promise.all([1, 2, 3].map(() => author.repro('publish', source, '--json')))
  for (const { code, stdout } of outcomes) if (code !== 0) expect(stdout).toContain('"STORE_BUSY"')
  const { key, release } = (await author.json(['publish', source])).result
  expect(release).toBe(1)
  await wholeHistory(author, key, 1)
})

async function wholeHistory(author: Person, key: string, count: number): Promise<void> {
  expect((await author.json(['log', key, '--offline'])).result.releases).toBe(count)
  for (let release = 1; release <= count; release++)
    await author.json(['verify', `${key}@${release}`])
}
