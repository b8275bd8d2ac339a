import { render } from 'ink-testing-library'
import { describe, expect, it } from 'vitest'
import { WorkView } from '../../cli/tui/work-view.tsx'

const done = { id: 0, text: 'hashed 500 B', kind: 'done' as const, hints: [] }
const phase = { action: 'fetch' as const, startedMs: 0, touchedMs: 0, bytes: 30, totalBytes: 120 }

describe('the live view', () => {
  it('keeps finished lines above one live area', () => {
    const view = render(<WorkView lines={[done]} phases={[phase]} tail="" />)
    const [first, second] = view.lastFrame()!.split('\n')
    expect(first).toBe('✓ hashed 500 B')
    expect(second).toMatch(/^━{6}─{18} {2}25 % {2}fetching 30 B of 120 B$/)
    view.rerender(
      <WorkView
        lines={[done, { id: 1, text: 'no licence', kind: 'warning', hints: ['add license:'] }]}
        phases={[]}
        tail=""
      />,
    )
    expect(view.lastFrame()).toContain('✓ hashed 500 B\n! no licence\n    add license:')
    expect(view.lastFrame()).not.toContain('fetching')
  })

  it('shows the unfinished last line of an app', () => {
    const view = render(<WorkView lines={[]} phases={[phase]} tail="reading 12 %" />)
    expect(view.lastFrame()).toMatch(/^reading 12 %\n━/)
  })

  it('shows no control character of a stranger', () => {
    const line = { ...done, text: 'got \x1b]0;owned\x07.txt' }
    const view = render(<WorkView lines={[line]} phases={[]} tail="" />)
    expect(view.lastFrame()).toContain('got \\x1b]0;owned\\x07.txt')
  })

  it('cuts lines to the width of the terminal', () => {
    const subject = 'x'.repeat(500)
    const view = render(
      <WorkView
        lines={[]}
        phases={[{ ...phase, subject, totalFiles: 1e9, files: 1 }]}
        tail={subject}
      />,
    )
    for (const line of view.lastFrame()!.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  })
})
