import { type Readable, Transform } from 'node:stream'

const TAIL_BYTES = 8 << 10

/** Passes a stream through unchanged, with its back-pressure, and keeps the last 8 KiB. */
export function tapTail(source: Readable): { stream: Readable; tail(): string } {
  let kept = Buffer.alloc(0)
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      kept =
        chunk.length >= TAIL_BYTES
          ? Buffer.from(chunk.subarray(chunk.length - TAIL_BYTES))
          : Buffer.concat([kept, chunk]).subarray(-TAIL_BYTES)
      done(null, chunk)
    },
  })
  source.once('error', error => stream.destroy(error))
  source.pipe(stream)
  return { stream, tail: () => kept.toString('utf8') }
}
