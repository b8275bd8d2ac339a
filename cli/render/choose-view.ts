import process from 'node:process'
import { JsonView } from './json.ts'
import { LateView } from './late-view.ts'
import type { Output } from './output.ts'
import { PlainView } from './plain.ts'
import type { View } from './view.ts'

/** The rendering that fits where our output goes; only long work gets the live view. */
export function chooseView(output: Output, live: boolean): View {
  if (output.mode.json) return new JsonView(output)
  if (!live || !wantsLiveView(output)) return new PlainView(output)
  return new LateView(
    async () => {
      const { LiveView } = await import('../tui/live.tsx')
      return new LiveView(output, process.stdout)
    },
    () => new PlainView(output),
  )
}

function wantsLiveView(output: Output): boolean {
  const { CI, TERM } = process.env
  if (output.mode.quiet || CI || TERM === 'dumb') return false
  return output.stdout.isTTY === true && output.stderr.isTTY === true
}
