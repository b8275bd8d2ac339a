import { describe, expect, it } from 'vitest'
import { Board } from '../../cli/render/board.ts'
import { describePhase, fractionOf } from '../../cli/render/progress.ts'

function boardAt() {
  let now = 0
  const board = new Board(() => now)
  return {
    board,
    wait: (ms: number) => {
      now += ms
    },
  }
}

describe('the board of work that goes on', () => {
  it('gives bytes, rate, files, peers and time left', () => {
    const { board, wait } = boardAt()
    board.take({ action: 'fetch', bytes: 0, totalBytes: 10_000_000, files: 0, totalFiles: 4 })
    wait(1000)
    board.take({ action: 'fetch', bytes: 2_000_000, files: 1, peers: 2 })
    const [phase] = board.phases
    expect(describePhase(phase!)).toBe(
      'fetching 2.0 MB of 10.0 MB, 1 of 4 files, 2 peers, 2.0 MB/s, 4.0 s left',
    )
    expect(fractionOf(phase!)).toBeCloseTo(0.2)
  })

  it('turns finished work into one line that stays', () => {
    const { board, wait } = boardAt()
    board.take({ action: 'hash', bytes: 0, totalBytes: 500, files: 0 })
    wait(2000)
    const lines = board.take({ action: 'hash', status: 'ok', bytes: 500, files: 3 })
    expect(lines.map(line => line.text)).toEqual(['hashed 500 B, 3 files in 2.0 s'])
    expect(board.phases).toEqual([])
  })

  it('says what was unfinished when the stream ends', () => {
    const { board, wait } = boardAt()
    board.take({ action: 'store', bytes: 100, files: 1 })
    wait(1500)
    expect(board.finish().map(line => line.text)).toEqual(['stored 100 B, 1 file'])
  })

  it('says of work that came to no end where it stopped, and not that it is done', () => {
    const { board, wait } = boardAt()
    board.take({ action: 'stage', status: 'start', subject: 'default' })
    board.take({ action: 'progress', subject: 'default', bytes: 5, totalBytes: 9 })
    board.take({ action: 'fetch', bytes: 3, totalBytes: 9, files: 1, totalFiles: 2 })
    wait(1500)
    expect(board.finish(true)).toEqual([
      { text: 'preparing the inputs stopped at 5 B of 9 B', kind: 'note', hints: [] },
      { text: 'fetching stopped at 3 B of 9 B, 1 of 2 files', kind: 'note', hints: [] },
    ])
  })

  it('says of a part that was all there is to do, that it is done', () => {
    const { board, wait } = boardAt()
    board.take({ action: 'verify', status: 'start', totalBytes: 9, totalFiles: 2 })
    wait(1500)
    const lines = board.take({ action: 'verify', status: 'ok', bytes: 3, files: 1 })
    expect(lines.map(line => line.text)).toEqual(['verified 3 B, 1 file in 1.5 s'])
  })

  it('stops looking for peers when bytes come', () => {
    const { board } = boardAt()
    board.take({ action: 'connect', status: 'start', subject: 'some key' })
    expect(board.phases.map(phase => phase.action)).toEqual(['connect'])
    board.take({ action: 'fetch', bytes: 1, totalBytes: 9, peers: 1 })
    expect(board.phases.map(phase => phase.action)).toEqual(['fetch'])
  })

  it('ends work that began with a subject when the same subject is done', () => {
    const { board, wait } = boardAt()
    board.take({ action: 'unpack', status: 'start', subject: 'a', bytes: 0, totalBytes: 9 })
    wait(1000)
    const lines = board.take({ action: 'unpack', status: 'ok', subject: 'a', bytes: 9, files: 2 })
    expect(lines.map(line => line.text)).toEqual(['unpacked 9 B, 2 files in 1.0 s'])
    expect(board.phases).toEqual([])
  })

  it('keeps warnings with what to type', () => {
    const { board } = boardAt()
    const lines = board.take({ action: 'warning', message: 'no licence', hints: ['add license:'] })
    expect(lines).toEqual([{ text: 'no licence', kind: 'warning', hints: ['add license:'] }])
  })

  it('counts progress to the work that was touched last', () => {
    const { board } = boardAt()
    board.take({ action: 'fetch', bytes: 1, totalBytes: 9 })
    board.take({ action: 'progress', bytes: 5 })
    expect(board.phases[0]).toMatchObject({ action: 'fetch', bytes: 5, totalBytes: 9 })
  })
})
