import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse as parseYaml } from 'yaml'
import type { ZodType } from 'zod'
import { VERBS } from '../../cli/verbs.ts'
import { authorManifest } from '../../schemas/index.ts'
import { RECORDS } from '../../schemas/json-schemas.ts'
import { checkout, program } from '../helpers/cli.ts'

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'fixtures/experiments/lambda-phage/README.md',
  ...readdirSync(join(checkout, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.md'))
    .map(path => `docs/${path}`),
].map(path => ({ path, text: readFileSync(join(checkout, path), 'utf8') }))

interface Typed {
  readonly page: string
  readonly line: string
  readonly verb: string
  readonly flags: readonly string[]
}

/** Each `repro …` that stands in a code block or between backticks. */
function commandsOf({ path, text }: { path: string; text: string }): Typed[] {
  const indented = text.split('\n').filter(line => /^ {4}\S/.test(line))
  const fenced = [...text.matchAll(/^```(?:sh|console|)\n([\s\S]*?)^```/gm)].flatMap(m =>
    m[1]!.split('\n'),
  )
  const inline = [...text.matchAll(/`([^`\n]+)`/g)].map(m => m[1]!)
  return [...indented, ...fenced, ...inline].flatMap(line => {
    const match = /(?:^|&& |\$ )\s*repro ([a-z]+)(.*)$/.exec(line.replace(/ +#.*$/, ''))
    if (!match) return []
    const own = match[2]!.split(' -- ')[0]!
    const flags = [...own.matchAll(/(?:^| )(--?[a-z][a-z-]*)/g)].map(m => m[1]!)
    return [{ page: path, line: line.trim(), verb: match[1]!, flags }]
  })
}

const helps = new Map<string, string>()
function helpOf(verb: string): string {
  const known = helps.get(verb)
  if (known !== undefined) return known
  const args = [program, verb, '--help']
  const text = execFileSync(process.execPath, args, { encoding: 'utf8', env: { PATH: '' } })
  helps.set(verb, text)
  return text
}

const blocks = (text: string, language: string) =>
  [
    ...text.matchAll(new RegExp(`^\`\`\`${language}(?: ([a-z-]+))?\\n([\\s\\S]*?)^\`\`\``, 'gm')),
  ].map(([, name, body]) => ({ name, body: body! }))

describe('the pages', () => {
  const commands = pages.flatMap(commandsOf)

  it('name only commands and flags that exist', () => {
    expect(commands.length).toBeGreaterThan(20)
    const verbs = VERBS.map(verb => verb.name)
    const wrong = commands.flatMap(({ page, line, verb, flags }) => {
      if (!verbs.includes(verb)) return [`${page}: ${line}: no command "${verb}"`]
      return flags
        .filter(flag => !new RegExp(`(^|[ ,])${flag}([ ,]|$)`, 'm').test(helpOf(verb)))
        .map(flag => `${page}: ${line}: no flag "${flag}"`)
    })
    expect(wrong).toEqual([])
  })

  it('mention each command in the README', () => {
    const mentioned = new Set(commands.filter(c => c.page === 'README.md').map(c => c.verb))
    const readme = pages[0]!.text
    expect(
      VERBS.map(verb => verb.name).filter(
        verb => !mentioned.has(verb) && !new RegExp(`\\b${verb}\\b`).test(readme),
      ),
    ).toEqual([])
  })

  it('have examples that are what they say', () => {
    let seen = 0
    for (const { path, text } of pages) {
      for (const { name, body } of blocks(text, 'json')) {
        seen++
        const value = body
          .trim()
          .split(/\n(?=[{[])/)
          .map(part => JSON.parse(part) as unknown)
        if (name === undefined) continue
        const schema = (RECORDS as Readonly<Record<string, ZodType>>)[name]
        expect(schema, `${path}: no schema "${name}"`).toBeDefined()
        for (const one of value) schema!.parse(one)
      }
      for (const { body } of blocks(text, 'yaml')) {
        seen++
        const value = parseYaml(body) as { repro?: unknown }
        if (value?.repro !== undefined) authorManifest.parse(value)
      }
    }
    expect(seen).toBeGreaterThan(2)
  })

  it('link only to what exists', () => {
    const broken = pages.flatMap(({ path, text }) =>
      [...text.replace(/```[\s\S]*?```/g, '').matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map(m => m[1]!)
        .filter(target => !/^[a-z]+:/.test(target))
        .filter(target => !existsSync(join(checkout, dirname(path), target)))
        .map(target => `${path}: ${target}`),
    )
    expect(broken).toEqual([])
  })

  it('name only files that exist, where they name a file of ours', () => {
    const broken = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/`((?:docs|test|schemas|scripts|fixtures|bench)\/[\w./-]+\.\w+)`/g)]
        .map(m => m[1]!)
        .filter(target => !existsSync(join(checkout, target)))
        .map(target => `${path}: ${target}`),
    )
    expect(broken).toEqual([])
  })
})
