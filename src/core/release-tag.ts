import { fail } from './errors.ts'
import { TAG } from './reference.ts'

/** Throws USAGE for a text that no release may be tagged. */
export function assertTag(tag: string): void {
  if (TAG.test(tag)) return
  fail(
    'USAGE',
    `"${tag}" is no tag: it begins with a letter and has letters, digits, ".", "_", "-"`,
    { hints: ['--tag v1'] },
  )
}

/** Throws TAG_TAKEN: a tag stays with its release. */
export function tagTaken(tag: string, release: number): never {
  return fail('TAG_TAKEN', `the tag "${tag}" is that of release ${release}`, {
    hints: ['choose another tag: a tag never moves to another release'],
    data: { tag, release },
  })
}
