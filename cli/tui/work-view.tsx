import { Box, Static, Text, useStdout } from 'ink'
import { type ReactElement, useLayoutEffect } from 'react'
import { escapeControl } from '../../src/core/text.ts'
import type { BoardLine } from '../render/board.ts'
import { describePhase, fractionOf, type Phase } from '../render/progress.ts'

export interface WorkViewProps {
  /** Finished lines: they scroll away above and stay. */
  readonly lines: readonly (BoardLine & { readonly id: number })[]
  /** What goes on, drawn again and again below them. */
  readonly phases: readonly Phase[]
  /** The unfinished last line of an app's output. */
  readonly tail: string
  /** Is given the function that writes above the live area. */
  readonly onWriter?: (write: (text: string) => void) => void
}

const MARK = { done: '✓', note: '·', warning: '!', error: '✗' } as const
const COLOR = { done: 'green', note: 'gray', warning: 'yellow', error: 'red' } as const
const BAR_CELLS = 24
const MAX_PHASES = 3

/** The one view of publish, get and run at a terminal. */
export function WorkView({ lines, phases, tail, onWriter }: WorkViewProps): ReactElement {
  const { stdout, write } = useStdout()
  useLayoutEffect(() => onWriter?.(write), [onWriter, write])
  return (
    <>
      <Static items={[...lines]}>{line => <FinishedLine key={line.id} line={line} />}</Static>
      <Box flexDirection="column" width={Math.max(20, (stdout.columns ?? 80) - 1)}>
        {tail === '' ? null : <Text wrap="truncate-end">{tail}</Text>}
        {phases.slice(-MAX_PHASES).map(phase => (
          <PhaseLine key={`${phase.action} ${phase.subject ?? ''}`} phase={phase} />
        ))}
      </Box>
    </>
  )
}

function FinishedLine({ line }: { readonly line: BoardLine }): ReactElement {
  return (
    <Box flexDirection="column">
      <Text>
        <Text color={COLOR[line.kind]}>{MARK[line.kind]} </Text>
        {escapeControl(line.text)}
      </Text>
      {line.hints.map(hint => (
        <Text key={hint} dimColor>
          {'    '}
          {escapeControl(hint)}
        </Text>
      ))}
    </Box>
  )
}

function PhaseLine({ phase }: { readonly phase: Phase }): ReactElement {
  const fraction = fractionOf(phase)
  return (
    <Text wrap="truncate-end">
      {fraction === undefined ? null : <Bar fraction={fraction} />}
      {describePhase(phase)}
    </Text>
  )
}

function Bar({ fraction }: { readonly fraction: number }): ReactElement {
  const full = Math.round(fraction * BAR_CELLS)
  return (
    <Text>
      <Text color="green">{'━'.repeat(full)}</Text>
      <Text dimColor>{'─'.repeat(BAR_CELLS - full)}</Text>
      {` ${String(Math.floor(fraction * 100)).padStart(3)} %  `}
    </Text>
  )
}
