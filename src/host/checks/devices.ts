import { constants } from 'node:fs'
import { access, open, readdir, readFile } from 'node:fs/promises'
import type { Check } from '../../../schemas/index.ts'
import { runCommand } from '../../system/process.ts'
import { which } from '../../system/which.ts'
import { makeCheck } from '../check.ts'

/** FUSE, by opening its device: on some hosts it exists and only root may use it. */
export async function checkFuse(): Promise<Check> {
  try {
    const handle = await open('/dev/fuse', constants.O_RDWR)
    await handle.close()
    return makeCheck('FUSE', 'ok', '/dev/fuse can be opened')
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    return makeCheck('FUSE', 'info', missing ? 'no /dev/fuse' : '/dev/fuse may not be opened', {
      detail: 'only images that are mounted (SIF, squashfs) gain by it; they are unpacked instead',
      remedies: missing
        ? ['as administrator: modprobe fuse']
        : ['as administrator: chmod 0666 /dev/fuse'],
    })
  }
}

/** Graphics processors, with their drivers: the host's share of every GPU result. */
export async function checkGpu(signal?: AbortSignal): Promise<Check> {
  const [nvidia, amd, dri] = await Promise.all([
    access('/dev/nvidiactl').then(
      () => true,
      () => false,
    ),
    access('/dev/kfd').then(
      () => true,
      () => false,
    ),
    readdir('/dev/dri').catch(() => [] as string[]),
  ])
  if (nvidia) {
    const text = await readFile('/proc/driver/nvidia/version', 'utf8').catch(() => '')
    const driver = /(\d+\.\d+(\.\d+)?)/.exec(text)?.[1] ?? 'unknown'
    const smi = await which('nvidia-smi')
    const listed = smi
      ? await runCommand([smi, '-L'], { timeoutMs: 5000, ...(signal ? { signal } : {}) })
      : null
    const cards = listed?.stdout.split('\n').filter(line => line.startsWith('GPU ')) ?? []
    const detail = cards.map(line => line.replace(/\s*\(UUID:.*$/, '')).join('; ')
    return makeCheck('GPU', 'ok', `NVIDIA, driver ${driver}`, { detail })
  }
  if (amd) {
    const version = await readFile('/sys/module/amdgpu/version', 'utf8').catch(() => '')
    return makeCheck('GPU', 'ok', `AMD, driver ${version.trim() || "of the kernel's"}`)
  }
  const render = dri.filter(name => name.startsWith('render'))
  return makeCheck(
    'GPU',
    'info',
    render.length > 0 ? `graphics only: ${render.join(', ')}` : 'none',
  )
}
