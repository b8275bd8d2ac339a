import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fidelities, type ResolvedApp, type RuntimeReport } from '../../schemas/index.ts'
import {
  type ChosenRuntime,
  RuntimeChoice,
  type RuntimeWish,
} from '../../src/run/choose-runtime.ts'
import { adapters } from '../../src/runtime/registry.ts'
import { brokenReport, workingReport } from '../../src/runtime/report.ts'

const names = adapters.map(adapter => adapter.name)
const working = adapters.map(adapter => workingReport(adapter))
const auto: RuntimeWish = { runtime: 'auto', order: [] }

function appOf(more: Partial<ResolvedApp> = {}): ResolvedApp {
  return {
    image: 'tools',
    command: ['true'],
    params: {},
    inputs: { include: ['**'], exclude: [] },
    out: 'out',
    outputs: [],
    resources: {},
    network: 'none',
    env: {},
    modules: [],
    refuse: [],
    ...more,
  }
}

/** A choice among runtimes whose probes say `reports`. */
function choiceOf(reports: readonly RuntimeReport[], app: ResolvedApp, wish: RuntimeWish) {
  return new RuntimeChoice(app, wish, async adapter => {
    const report = reports.find(({ name }) => name === adapter.name)
    return report ?? brokenReport(adapter, { reason: 'not here', remedies: [] })
  })
}

async function allOf(choice: RuntimeChoice): Promise<ChosenRuntime[]> {
  const chosen: ChosenRuntime[] = []
  for (;;) {
    const next = await choice.next('unused')
    if (!next) return chosen
    chosen.push(next)
  }
}

const someReports = fc
  .tuple(
    ...adapters.map(adapter =>
      fc.record({
        kind: fc.constantFrom('works', 'broken', 'absent'),
        networkOff: fc.boolean(),
        limits: fc.boolean(),
        adapter: fc.constant(adapter),
      }),
    ),
  )
  .map(all =>
    all.flatMap(({ kind, adapter, networkOff, limits }): RuntimeReport[] => {
      if (kind === 'absent') return []
      return kind === 'works'
        ? [workingReport(adapter, { facts: { networkOff, limits } })]
        : [brokenReport(adapter, { reason: 'broken', remedies: ['mend it'] })]
    }),
  )
const someApps = fc
  .record({
    image: fc.constantFrom(null, 'tools'),
    network: fc.constantFrom('none' as const, 'host' as const),
    refuse: fc.subarray([...names]),
    resources: fc.constantFrom({}, { cpus: 2 }, { memoryBytes: 1e9 }, { gpu: { count: 1 } }),
  })
  .map(appOf)
const someWishes: fc.Arbitrary<RuntimeWish> = fc.record(
  {
    runtime: fc.constantFrom('auto' as const, ...names),
    order: fc.array(fc.constantFrom(...names, 'nonsense'), { maxLength: 6 }),
    minFidelity: fc.constantFrom(...fidelities),
  },
  { requiredKeys: ['runtime', 'order'] },
) as fc.Arbitrary<RuntimeWish>

describe('the choice of a runtime', () => {
  it('never picks one that breaks what was declared', async () => {
    await fc.assert(
      fc.asyncProperty(someReports, someApps, someWishes, async (reports, app, wish) => {
        for (const { adapter, report } of await allOf(choiceOf(reports, app, wish))) {
          expect(report.works).toBe(true)
          expect(app.refuse).not.toContain(adapter.name)
          if (adapter.name === 'host') expect(wish.runtime).toBe('host')
          else {
            expect(app.image).not.toBeNull()
            expect(app.resources.gpu).toBeUndefined()
            if (app.network === 'none') expect(adapter.abilities.networkOff).toBe(true)
          }
          if (wish.minFidelity)
            expect(fidelities.indexOf(adapter.fidelity)).toBeLessThanOrEqual(
              fidelities.indexOf(wish.minFidelity),
            )
          if (wish.runtime !== 'auto') expect(adapter.name).toBe(wish.runtime)
        }
      }),
    )
  })

  it('chooses each once or refuses it with a reason, and says what to type when none is left', async () => {
    await fc.assert(
      fc.asyncProperty(someReports, someApps, someWishes, async (reports, app, wish) => {
        const choice = choiceOf(reports, app, wish)
        const chosen = (await allOf(choice)).map(({ adapter }) => adapter.name)
        const seen = [...chosen, ...choice.refused.map(({ runtime }) => runtime)]
        expect(seen.sort()).toEqual(wish.runtime === 'auto' ? [...names].sort() : [wish.runtime])
        for (const { reason } of choice.refused) expect(reason).toMatch(/^\S.*[^.\s]$/)
        expect(() => choice.exhausted()).toThrow(
          expect.objectContaining({
            hints: expect.arrayContaining([expect.stringMatching(/doctor/)]),
          }),
        )
      }),
    )
  })

  it('prefers bubblewrap, then what the user puts first', async () => {
    const first = await choiceOf(working, appOf(), auto).next('unused')
    expect(first?.adapter.name).toBe('bubblewrap')
    const wished = await allOf(choiceOf(working, appOf(), { ...auto, order: ['none', 'podman'] }))
    expect(wished.map(({ adapter }) => adapter.name)).toEqual(['podman', 'bubblewrap', 'unshare'])
  })

  it('takes the host only by name, offers it, and says what it cannot hold', async () => {
    const hostOnly = working.filter(report => report.name === 'host')
    const choice = choiceOf(hostOnly, appOf(), auto)
    expect(await choice.next('unused')).toBeNull()
    expect(() => choice.exhausted()).toThrow(
      expect.objectContaining({
        hints: expect.arrayContaining([expect.stringMatching(/^--runtime host /)]),
      }),
    )
    const named = choiceOf(hostOnly, appOf(), { ...auto, runtime: 'host' })
    const chosen = (await named.next('unused'))!
    expect(chosen.adapter.name).toBe('host')
    expect(named.notesOn(chosen)).toEqual([
      'the app runs on the host itself: its programs are those of this host',
    ])
    const refused = choiceOf(hostOnly, appOf({ refuse: ['host'] }), auto)
    await refused.next('unused')
    expect(() => refused.exhausted()).toThrow(
      expect.objectContaining({ hints: expect.not.arrayContaining([/^--runtime host /]) }),
    )
  })

  it('refuses a name that has no adapter', () => {
    expect(() => new RuntimeChoice(appOf(), { ...auto, runtime: 'apptainer' })).toThrow(
      /"apptainer"/,
    )
  })

  it('notes limits that are not enforced', async () => {
    const app = appOf({ resources: { cpus: 2, memoryBytes: 1e9 } })
    const choice = choiceOf(working, app, auto)
    expect(choice.notesOn((await choice.next('unused'))!)).toEqual([
      'the limit of cpus is not enforced by bubblewrap here',
      'the limit of memory is not enforced by bubblewrap here',
    ])
    const podman = choiceOf(working, app, { ...auto, runtime: 'podman' })
    expect(podman.notesOn((await podman.next('unused'))!)).toEqual([])
  })
})
