import { fail } from '../../core/errors.ts'
import { showBytePath } from '../byte-path.ts'
import { BLOCK_BYTES } from './tar-header.ts'

/** One thing to put into a deterministic tar. Paths and targets are byte strings; no owner, no time, no name of anybody. */
export interface TarItem {
  readonly path: string
  readonly type: 'file' | 'folder' | 'link' | 'hardlink'
  readonly mode: number
  readonly target?: string
  readonly size?: number
  body?(): AsyncIterable<Uint8Array>
}

const TYPE_FLAGS = { file: '0', hardlink: '1', link: '2', folder: '5' } as const
const MAX_USTAR_SIZE = 0o77777777777
const SMALL_WRITE_BYTES = 1 << 16

/**
 * The bytes of a tar of `items`, in the order given: ustar, with PAX headers only where a name or size needs them,
 * time 0, owner 0:0. The same items give the same bytes. Throws SOURCE_CHANGED when a body has not the size said.
 */
export async function* writeTar(
  items: AsyncIterable<TarItem> | Iterable<TarItem>,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  let pending: Uint8Array[] = []
  let pendingBytes = 0
  const add = (bytes: Uint8Array) => {
    pending.push(bytes)
    pendingBytes += bytes.length
  }
  const take = () => {
    const all = Buffer.concat(pending)
    pending = []
    pendingBytes = 0
    return all
  }
  for await (const item of items) {
    signal?.throwIfAborted()
    for (const block of headersOf(item)) add(block)
    for await (const chunk of checkedBody(item)) {
      add(chunk)
      if (pendingBytes >= SMALL_WRITE_BYTES) yield take()
    }
    add(zeros((item.type === 'file' ? item.size : 0) ?? 0))
    if (pendingBytes >= SMALL_WRITE_BYTES) yield take()
  }
  add(Buffer.alloc(2 * BLOCK_BYTES))
  yield take()
}

async function* checkedBody(item: TarItem): AsyncGenerator<Uint8Array> {
  if (item.type !== 'file') return
  let size = 0
  for await (const chunk of item.body?.() ?? []) {
    size += chunk.length
    yield chunk
  }
  if (size !== (item.size ?? 0))
    fail('SOURCE_CHANGED', `"${showBytePath(item.path)}" changed while it was being read`, {
      hints: ['wait until nothing writes to it, then repeat the command'],
    })
}

function headersOf(item: TarItem): Buffer[] {
  const size = item.type === 'file' ? (item.size ?? 0) : 0
  const path = item.type === 'folder' ? `${item.path}/` : item.path
  const target = item.target ?? ''
  const split = splitName(path)
  const records: [string, string][] = []
  if (!split) records.push(['path', path])
  if (!fits(target, 100)) records.push(['linkpath', target])
  if (size > MAX_USTAR_SIZE) records.push(['size', String(size)])
  const [prefix, name] = split ?? ['', path.slice(0, 100)]
  const main = block({
    name,
    prefix,
    mode: item.mode,
    size: Math.min(size, MAX_USTAR_SIZE),
    flag: TYPE_FLAGS[item.type],
    target: target.slice(0, 100),
  })
  if (records.length === 0) return [main]
  const body = Buffer.from(records.map(paxRecord).join(''), 'latin1')
  const head = { name: 'PaxHeader', prefix: '', mode: 0o644, size: body.length, flag: 'x' }
  return [block({ ...head, target: '' }), body, zeros(body.length), main]
}

interface BlockFields {
  readonly name: string
  readonly prefix: string
  readonly mode: number
  readonly size: number
  readonly flag: string
  readonly target: string
}

function block(fields: BlockFields): Buffer {
  const bytes = Buffer.alloc(BLOCK_BYTES)
  const put = (text: string, at: number) => void bytes.write(text, at, 'latin1')
  const octal = (value: number, at: number, length: number) =>
    put(value.toString(8).padStart(length - 1, '0'), at)
  put(fields.name, 0)
  octal(fields.mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(fields.size, 124, 12)
  octal(0, 136, 12)
  put('        ', 148)
  put(fields.flag, 156)
  put(fields.target, 157)
  put('ustar\u000000', 257)
  octal(0, 329, 8)
  octal(0, 337, 8)
  put(fields.prefix, 345)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return bytes
}

function splitName(path: string): [prefix: string, name: string] | null {
  if (fits(path, 100)) return ['', path]
  if (!fits(path, 256)) return null
  for (let at = path.indexOf('/'); at >= 0 && at <= 155; at = path.indexOf('/', at + 1)) {
    const name = path.slice(at + 1)
    if (at > 0 && name.length > 0 && name.length <= 100) return [path.slice(0, at), name]
  }
  return null
}

const fits = (text: string, length: number) => text.length <= length && /^[\x20-\x7e]*$/.test(text)

function paxRecord([key, value]: [string, string]): string {
  const rest = ` ${key}=${value}\n`
  let length = rest.length + 1
  while (String(length).length + rest.length !== length)
    length = String(length).length + rest.length
  return `${length}${rest}`
}

const zeros = (size: number) => Buffer.alloc((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES)
