import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measure } from './lib/measure.ts'
import { report } from './lib/report.ts'

// Publishing a folder of 64 MiB in 200 files, and again after one file changed, against copying and packing it.
// For orientation: cp and tar neither hash, nor sign, nor sync to the disk.
const FILES = 200
const FILE_BYTES = (64 << 20) / FILES

const folder = mkdtempSync(join(tmpdir(), 'repro-bench-'))
const data = join(folder, 'analysis')
const at = (name: string) => join(folder, name)
const repro = (home: string) => ({
  argv: [process.execPath, join(process.cwd(), 'dist/cli/repro.js'), 'publish', data, '--new'],
  env: {
    HOME: folder,
    REPRO_HOME: at(home),
    REPRO_CACHE: at('cache'),
    REPRO_BOOTSTRAP: 'none',
  },
})
const again = { ...repro('kept'), argv: repro('kept').argv.slice(0, -1) }
const change = () => writeFileSync(join(data, 'data/0.bin'), randomBytes(FILE_BYTES))

try {
  mkdirSync(join(data, 'data'), { recursive: true })
  writeFileSync(join(data, 'repro.yaml'), 'repro: 1\nname: bench\nlicense: MIT\n')
  for (let i = 0; i < FILES; i++)
    writeFileSync(join(data, `data/${i}.bin`), randomBytes(FILE_BYTES))
  const clear = (...names: string[]) => {
    for (const name of names) rmSync(at(name), { recursive: true, force: true })
  }
  const first = measure(
    [
      { name: 'cp -r', argv: ['cp', '-r', data, at('copy')], before: () => clear('copy') },
      { name: 'tar', argv: ['tar', '-cf', at('all.tar'), '-C', folder, 'analysis'] },
      {
        ...repro('fresh'),
        name: 'publish',
        before: () => clear('fresh', 'analysis/.repro'),
      },
    ],
    7,
  )
  clear('analysis/.repro')
  const second = measure([{ ...again, name: 'publish one changed file', before: change }], 7)
  report({ bench: 'publish', samples: [...first, ...second], figures: [], absent: [] })
} finally {
  rmSync(folder, { recursive: true, force: true })
}
