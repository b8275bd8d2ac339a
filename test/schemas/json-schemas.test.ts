import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { jsonSchemas } from '../../schemas/json-schemas.ts'
import { checkout } from '../helpers/cli.ts'

it('schemas/json is what the schemas give: after a change, npm run schemas', () => {
  const folder = join(checkout, 'schemas/json')
  const wanted = jsonSchemas()
  const names = new Set([...Object.keys(wanted), ...readdirSync(folder).map(f => f.slice(0, -5))])
  const stale = [...names].filter(name => {
    const path = join(folder, `${name}.json`)
    return !existsSync(path) || readFileSync(path, 'utf8') !== wanted[name]
  })
  expect(stale).toEqual([])
})
