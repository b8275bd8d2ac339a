import { type Bound, FIGURES } from './archive-figures.ts'
import { type ArchiveResult, type Judged, judge, medianOf } from './archive-result.ts'

/** The figures of the issue with what was found, then every contender, as Markdown. */
export function markdownOf(result: ArchiveResult): string {
  const { dest, fileSystem, machine, versions, rows, scale } = result
  const lines = [
    `### ${dest} (${fileSystem})`,
    '',
    `${listOf(machine)}; ${listOf(versions)}${scale === 1 ? '' : `; scale ${scale}: no figure holds`}.`,
    '',
    ...table(
      ['work', 'ours', 'must', 'found', '', 'aim', 'found', ''],
      FIGURES.map(figure => {
        const must = judge(figure, figure.must, rows)
        const aim = judge(figure, figure.aim, rows)
        const measure = figure.must[0]!.measure
        const ours =
          figure.row === '*' ? must[0]!.found : medianOf(rows, figure.row, figure.ours, measure)
        return [
          figure.what,
          ours === null ? '' : quantity(measure, ours),
          ...cells(must),
          ...cells(aim),
        ]
      }),
    ),
    '',
    ...table(
      [
        'row',
        'contender',
        'n',
        'median',
        'min',
        'max',
        'CPU',
        'peak',
        'bytes added',
        'on disk',
        'ours ÷ this',
      ],
      rows.flatMap(row => row.contenders.map(one => contenderCells(result, row.id, one.name))),
    ),
    '',
    ...rows.map(row => `- **${row.id}** (commit ${row.commit}, ${row.date}): ${row.recipe}`),
    ...rows.flatMap(row => row.absent.map(reason => `- absent in ${row.id}: ${reason}`)),
  ]
  return `${lines.join('\n')}\n`
}

function listOf(facts: Readonly<Record<string, string | number>>): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name}: ${value}`)
    .join('; ')
}

function contenderCells(result: ArchiveResult, row: string, name: string): string[] {
  const { samples } = result.rows
    .find(({ id }) => id === row)!
    .contenders.find(one => one.name === name)!
  const value = (measure: Bound['measure']) => {
    const found = medianOf(result.rows, row, name, measure)
    return found === null ? '' : quantity(measure, found)
  }
  const ms = samples.map(sample => sample.ms)
  const edge = (pick: (...all: number[]) => number) =>
    ms.length === 0 ? '' : quantity('ms', pick(...ms))
  const ours = result.rows.find(({ id }) => id === row)!.contenders[0]!.name
  const ourMs = medianOf(result.rows, row, ours, 'ms')
  const theirMs = medianOf(result.rows, row, name, 'ms')
  return [
    row,
    name,
    String(samples.length),
    value('ms'),
    edge(Math.min),
    edge(Math.max),
    value('cpuMs'),
    value('peakBytes'),
    value('addedBytes'),
    value('addedAllocatedBytes'),
    ourMs && theirMs && name !== ours ? `${(ourMs / theirMs).toFixed(2)} ×` : '',
  ]
}

function cells(judged: readonly Judged[]): string[] {
  const bounds = judged.map(({ bound }) => boundText(bound)).join('; ')
  if (judged.every(({ found }) => found === null)) return [bounds, '', '']
  const found = judged.map(({ bound, found }) => (found === null ? '–' : foundText(bound, found)))
  const met = judged.map(({ met }) => (met === null ? '–' : met ? 'met' : 'NOT MET'))
  return [bounds, found.join('; '), met.join('; ')]
}

function boundText(bound: Bound): string {
  if (bound.peer === undefined) return `≤ ${quantity(bound.measure, bound.max)}`
  const what = bound.measure === 'addedBytes' ? ' in bytes' : ''
  return `≤ ${bound.max} × ${bound.peer}${what}`
}

function foundText(bound: Bound, found: number): string {
  return bound.peer === undefined ? quantity(bound.measure, found) : `${found.toFixed(2)} ×`
}

function quantity(measure: Bound['measure'], value: number): string {
  if (measure === 'ms' || measure === 'cpuMs') return `${(value / 1000).toFixed(2)} s`
  if (Math.abs(value) >= 1e6) return `${(value / 1e6).toFixed(value >= 1e8 ? 0 : 1)} MB`
  return `${(value / 1e3).toFixed(1)} kB`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const escaped = (cell: string) => cell.replaceAll('|', '\\|')
  const widths = head.map((_, i) =>
    Math.max(...[head, ...rows].map(row => escaped(row[i] ?? '').length)),
  )
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => escaped(cell).padEnd(widths[i]!)).join(' | ')} |`
  return [
    line(head),
    `|${widths.map(width => '-'.repeat(width + 2)).join('|')}|`,
    ...rows.map(line),
  ]
}
