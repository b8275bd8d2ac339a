import { expect, test } from 'vitest'
import { hidePlaces } from '../../src/run/receipt.ts'

const places = [
  ['/root/.cache/repro', '$REPRO_CACHE'],
  ['/root/.local/share/repro/', '$REPRO_HOME'],
  ['/data/a+b (c)', '$REPRO_DATA/x'],
] as const

test.each([
  ['/root/.cache/repro/rootfs/12', '$REPRO_CACHE/rootfs/12'],
  ['/root/.cache/repro-old/x', '$HOME/.cache/repro-old/x'],
  ['/root/.local/share/repro/runs', '$REPRO_HOME/runs'],
  ['/rootfs/x', '/rootfs/x'],
  ['/root', '$HOME'],
  ['--bind=/root:/w,ro', '--bind=$HOME:/w,ro'],
  ['type=bind,src=/root,dst=/root.d', 'type=bind,src=$HOME,dst=/root.d'],
  [
    'cannot open "/root": no such file, nor /root.',
    'cannot open "$HOME": no such file, nor $HOME.',
  ],
  ['/mnt/root/x ./root/x', '/mnt/root/x ./root/x'],
  ['cc -I/root/include file:///root/x', 'cc -I$HOME/include file://$HOME/x'],
  ['/data/a+b (c)/y', '$REPRO_DATA/x/y'],
])('places of this host are hidden, whole paths only: %s', (text, hidden) => {
  expect(hidePlaces(text, places, '/root')).toBe(hidden)
})

test('a host without a home folder hides nothing of its root', () => {
  expect(hidePlaces('/usr/bin', [['/', '$REPRO_CACHE']], null)).toBe('/usr/bin')
})
