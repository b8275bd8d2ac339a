import { createHash } from 'node:crypto'
import { z } from 'zod'
import { fail, ReproError } from '../core/errors.ts'

const MAX_CONFIG_BYTES = 8 << 20
const imageConfig = z.looseObject({
  config: z.looseObject({ Env: z.array(z.string()).nullish() }).nullish(),
})

/** PATH of an image's configuration, or null when it names none. Throws HASH_MISMATCH, IMAGE_INVALID. */
export async function readSearchPath(
  digest: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<string | null> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > MAX_CONFIG_BYTES)
      fail('IMAGE_INVALID', `the configuration ${digest} of the image is too large`)
    parts.push(chunk)
  }
  const bytes = Buffer.concat(parts)
  const found = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  if (found !== digest)
    fail('HASH_MISMATCH', `the image configuration has the digest ${found} instead of ${digest}`, {
      hints: ['the copy is damaged or dishonest: nothing of it was used; try another peer'],
    })
  try {
    const { config } = imageConfig.parse(JSON.parse(bytes.toString('utf8')))
    const path = config?.Env?.find(line => line.startsWith('PATH='))?.slice('PATH='.length)
    return path === undefined || path === '' || path.includes('\0') ? null : path
  } catch (cause) {
    throw new ReproError(
      'IMAGE_INVALID',
      `the configuration ${digest} of the image is no valid JSON`,
      {
        cause,
      },
    )
  }
}
