import { expect, test } from 'vitest'
import { cat, ls } from '../../src/daemon/operations/look.ts'
import { drain } from '../archive/helpers.ts'
import { newSettings, publishFiles, startSharer } from '../helpers/homes.ts'

const files = {
  '.repro/images/tools/blobs/sha256/aa': 'image',
  '.repro/images/tools/oci-layout': '{}',
  'data/a.txt': 'hello\n',
  'read.me': 'read\n',
}

test('ls marks what is repro’s own as hidden, counts it, and hides nothing when asked', async () => {
  const settings = await newSettings()
  const { key } = await publishFiles(settings, files)
  const list = async (patterns: string[] = [], all = false) => {
    const { records, result } = await drain(ls(settings, key, patterns, { all }))
    const shown = records.filter(({ data }) => data?.['hidden'] !== true).map(r => r.subject)
    return { ...result, all: records.map(({ subject }) => subject), shown }
  }
  const paths = Object.keys(files)
  const ours = paths.slice(0, 2)
  const bytes = Object.values(files).join('').length
  expect(await list()).toMatchObject({
    entries: 4,
    bytes,
    hidden: 2,
    all: paths,
    shown: paths.slice(2),
  })
  expect(await list([], true)).toMatchObject({ entries: 4, hidden: 0, shown: paths })
  expect(await list(['.repro'])).toMatchObject({ entries: 2, hidden: 0, shown: ours })
  expect(await list(['**'])).toMatchObject({ entries: 4, hidden: 2 })
  expect(await list(['data'])).toMatchObject({ entries: 1, hidden: 0, shown: ['data/a.txt'] })
})

test('cat tells of a fetch only when bytes came from a peer', async () => {
  const author = await newSettings({ listen: { host: '127.0.0.1', port: 0 } })
  const { key } = await publishFiles(author, files)
  const actions = async (settings: typeof author) =>
    (await drain(cat(settings, key, 'data/a.txt'))).records.map(({ action, subject }) =>
      action === 'progress' ? subject : action,
    )
  expect(await actions(author)).toEqual(['stdout'])
  const { listening } = await startSharer(author)
  const reader = await newSettings({ peers: [listening!] })
  expect(await actions(reader)).toContain('fetch')
  expect(await actions(reader)).toEqual(['stdout'])
})
