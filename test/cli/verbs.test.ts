import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../cli/parse.ts'
import { VERBS } from '../../cli/verbs.ts'
import { ERROR_CODES } from '../../src/core/errors.ts'

describe('every command', () => {
  it.each(VERBS.map(verb => verb.name))(
    '%s says in its help how it ends and what to type',
    async name => {
      const parsed = await parseCommandLine([name, '--help'])
      if (parsed.kind !== 'help') throw new Error(`"${name} --help" gave no help`)
      expect(parsed.text).toMatch(new RegExp(`^Usage: repro ${name} `))
      expect(parsed.text).toMatch(/\nExit codes:\n {2}0 {4}ok\n/)
      expect(parsed.text).toMatch(new RegExp(`\\nExamples?:\\n {2}repro ${name}`))
      for (const flag of [
        '--json',
        '--quiet',
        '--home',
        '--cache',
        '--bootstrap',
        '--peer',
        '--help',
      ])
        expect(parsed.text).toContain(flag)
    },
  )

  it('takes global flags before and after the verb', async () => {
    const before = await parseCommandLine([
      '--home',
      '/h',
      '--peer',
      'a:1',
      '--peer=b:2',
      'runs',
      'id',
    ])
    const after = await parseCommandLine([
      'runs',
      'id',
      '--home',
      '/h',
      '--peer',
      'a:1',
      '--peer=b:2',
    ])
    expect(before).toMatchObject({ verb: 'runs', args: ['id'], global: { home: '/h' } })
    expect(after).toMatchObject({ verb: 'runs', args: ['id'], global: { home: '/h' } })
    expect(before.kind === 'command' && before.global.peer).toEqual(['a:1', 'b:2'])
  })

  it('leaves what the environment says to the settings', async () => {
    process.env['REPRO_HOME'] = '/from/environment'
    const parsed = await parseCommandLine(['runs'])
    delete process.env['REPRO_HOME']
    expect(parsed.kind === 'command' && parsed.global).toEqual({})
  })

  it('hands what stands after -- to the app, and to nothing else', async () => {
    const run = await parseCommandLine(['run', '.', 'app', '--', '--help', '-x'])
    expect(run).toMatchObject({ args: ['.', 'app'], extra: ['--help', '-x'] })
    const check = await parseCommandLine(['check', '--', '-folder'])
    expect(check).toMatchObject({ args: ['-folder'], extra: [] })
  })

  it.each([
    [['frobnicate'], /unknown command "frobnicate"/],
    [['--frobnicate'], /unknown option "--frobnicate"/],
    [['ls'], /missing required argument/],
    [['runs', 'a', 'b'], /too many arguments/],
    [['run', '.', '--allow', 'all'], /expected network, host, gpu/],
    [['bootstrap', '--port', '70000'], /expected a port/],
  ])('refuses %j as usage', async (argv, message) => {
    await expect(parseCommandLine(argv)).rejects.toThrow(message)
    await expect(parseCommandLine(argv)).rejects.toMatchObject({ code: 'USAGE' })
  })

  it('ends with a code its help lists', async () => {
    const listed = new Set<number>(
      (await Promise.all(VERBS.map(v => v.load()))).flatMap(s => [...s.exitCodes]),
    )
    for (const code of Object.values(ERROR_CODES)) expect([...listed]).toContain(code)
  })
})
