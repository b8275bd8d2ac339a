import { readFile } from 'node:fs/promises'
import process from 'node:process'
import { createInterface } from 'node:readline/promises'
import { asReproError, fail } from '../src/core/errors.ts'

/** True when a person sits at both ends. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

/** One line typed at the terminal. */
export async function ask(question: string, signal: AbortSignal): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await lines.question(question, { signal })).trim()
  } finally {
    lines.close()
  }
}

const MAX_PASSPHRASE_BYTES = 4096

/** The first line of a file, which may be /dev/fd/3. Throws USAGE for an empty one. */
export async function readPassphrase(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(error => {
    throw asReproError(error)
  })
  const [line = ''] = text.split(/\r?\n/, 1)
  if (line === '' || line.length > MAX_PASSPHRASE_BYTES)
    fail('USAGE', `the first line of "${file}" is no passphrase: it is empty or too long`)
  return line
}

/** A passphrase typed at the terminal without being shown. Throws USAGE without a terminal, INTERRUPTED. */
export async function askPassphrase(question: string, signal: AbortSignal): Promise<string> {
  if (!canAsk())
    fail('USAGE', 'a passphrase is needed, and this is no terminal', {
      hints: ['give it with --passphrase-file <file>, which may be /dev/fd/3'],
    })
  process.stderr.write(question)
  const typed = await readHidden(signal)
  process.stderr.write('\n')
  if (typed === '') fail('USAGE', 'the passphrase is empty')
  return typed
}

const CTRL_C = '\x03'
const CTRL_D = '\x04'
const RUBOUT = new Set(['\x7f', '\b'])

async function readHidden(signal: AbortSignal): Promise<string> {
  const { stdin } = process
  stdin.setRawMode(true)
  stdin.setEncoding('utf8').resume()
  let typed = ''
  try {
    return await new Promise((resolve, reject) => {
      const stop = () => reject(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      stdin.on('data', (chunk: string) => {
        for (const char of chunk) {
          if (char === '\r' || char === '\n' || char === CTRL_D) resolve(typed)
          else if (char === CTRL_C)
            reject(Object.assign(new Error('interrupted'), { name: 'AbortError' }))
          else typed = RUBOUT.has(char) ? typed.slice(0, -1) : typed + char
        }
      })
    })
  } finally {
    stdin.removeAllListeners('data')
    stdin.setRawMode(false)
    stdin.pause()
  }
}
