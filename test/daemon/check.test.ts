import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { check } from '../../src/daemon/operations/check.ts'
import { doctor } from '../../src/daemon/operations/doctor.ts'
import { publish } from '../../src/daemon/operations/publish.ts'
import { drain, temporaryFolder, writeFiles } from '../archive/helpers.ts'
import { newSettings } from '../helpers/homes.ts'

test('a folder whose key another home holds is refused as publish would, and no store is opened', async () => {
  const folder = await temporaryFolder()
  await writeFiles(folder, { 'repro.yaml': 'repro: 1\nname: data\n', 'a.txt': 'a' })
  const author = await newSettings()
  const published = await drain(publish(author, folder))
  expect((await drain(check(author, folder))).result.faults).toEqual([])

  const other = await newSettings()
  const { result } = await drain(check(other, folder))
  expect(result.faults).toMatchObject([{ code: 'KEY_NOT_WRITABLE' }])
  expect(result.faults[0]!.message).toContain(published.result.record.key)
  expect(existsSync(join(other.home, 'store'))).toBe(false)
  await expect(drain(publish(other, folder))).rejects.toMatchObject({
    code: 'KEY_NOT_WRITABLE',
    message: result.faults[0]!.message,
  })
})

test('with a cache that cannot be written to, check and doctor do their work and say so', async () => {
  const folder = await temporaryFolder()
  await writeFiles(folder, { 'repro.yaml': 'repro: 1\nname: data\n', 'a.txt': 'a', file: '' })
  const settings = { ...(await newSettings()), cache: join(folder, 'file', 'cache') }
  const checked = await drain(check(settings, folder))
  expect(checked.result.faults).toEqual([])
  const warning = checked.records.find(
    ({ action, message }) => action === 'warning' && message?.includes(settings.cache),
  )
  expect(warning?.hints?.join()).toContain('REPRO_CACHE')
  const { result } = await drain(doctor(settings, { fresh: true }))
  expect(JSON.stringify(result.runtimes)).not.toContain(settings.cache)
  expect(result.runtimes.find(({ name }) => name === 'host')?.works).toBe(true)
})
