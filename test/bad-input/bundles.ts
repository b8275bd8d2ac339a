import { join } from 'node:path'
import { type Files, writeFiles } from '../archive/helpers.ts'
import { Person, scratch } from '../helpers/cli.ts'

/** A manifest for a bundle of one app that needs only bash. */
export const MANIFEST = `repro: 1
name: small
license: MIT
images:
  tools: {host: [bash]}
apps:
  default:
    image: tools
    command: [bash, code/run.sh]
    params:
      times: {type: int, default: 2, min: 1, max: 5, flag: --times}
    outputs:
      - {path: out.txt, compare: exact}
`

/** The files of a bundle that reproduces. */
export const SMALL: Files = {
  'repro.yaml': MANIFEST,
  'code/run.sh': 'echo "$2 times" >"$REPRO_OUT/out.txt"\n',
  'data/notes.txt': 'notes\n',
  'expected/default/out.txt': '2 times\n',
}

/** Somebody with a folder `small` of these files. */
export async function authorOf(files: Files = SMALL): Promise<{ author: Person; folder: string }> {
  const author = new Person(join(scratch(), 'author'))
  const folder = join(author.folder, 'small')
  await writeFiles(folder, files)
  return { author, folder }
}
