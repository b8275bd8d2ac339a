import { expect, test } from 'vitest'
import type { Settings } from '../../src/core/settings.ts'
import { openHome } from '../../src/daemon/in-process-home.ts'
import { run } from '../../src/daemon/operations/run.ts'
import { prepare } from '../archive/helpers.ts'
import { newSettings, openTestHome } from '../helpers/homes.ts'
import { finish } from '../run/workbench.ts'

const app = (text: string) => ({
  image: null,
  command: ['sh', '-c', `echo ${text} > out/o`],
  params: {},
  inputs: { include: ['**'], exclude: ['expected', 'out'] },
  out: 'out',
  outputs: [{ compare: 'exists' as const, path: 'o' }],
  resources: {},
  network: 'none' as const,
  env: {},
  modules: [],
  refuse: [],
})

async function publish(settings: Settings, tag: string) {
  const home = await openHome(settings)
  try {
    const prepared = await prepare({ 'a.txt': 'a' }, { apps: { default: app('x') } })
    const work = home.publish(prepared, { key: null, tag })
    for (;;) {
      const step = await work.next()
      if (step.done) return step.value.record
    }
  } finally {
    await home.close()
  }
}

test('a release run before runs by number and tag while the home is in use, and says which release it is', async () => {
  const settings = await newSettings()
  const one = await publish(settings, 'v1')
  const same = await publish(settings, 'w1')
  expect(same.key).not.toBe(one.key)
  expect(same.contentHash).toBe(one.contentHash)
  const go = async (ref: string) => {
    const options = { runtime: 'host', version: '0.0.0-test' } as const
    const { receipt, records } = await finish(run(settings, ref, options))
    const staged = records.some(({ action, status }) => action === 'stage' && status === 'ok')
    return { key: receipt.key, release: receipt.release, tag: receipt.tag, staged }
  }
  const first = { key: one.key, release: 1, tag: 'v1' }
  expect(await go(`${one.key}@v1`)).toEqual({ ...first, staged: true })
  await openTestHome(settings)
  expect(await go(`${one.key}@v1`)).toEqual({ ...first, staged: false })
  expect(await go(`${one.key}@1`)).toEqual({ ...first, staged: false })
  expect(await go(`${same.key}@w1`)).toEqual({
    key: same.key,
    release: 1,
    tag: 'w1',
    staged: false,
  })
  await expect(go(`${one.key}@w1`)).rejects.toMatchObject({ code: 'STORE_BUSY' })
})
