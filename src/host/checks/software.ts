import { createRequire } from 'node:module'
import type { Check } from '../../../schemas/index.ts'
import { blake3Backend } from '../../system/blake3.ts'
import { makeCheck } from '../check.ts'

const FLOOR = [20, 12] as const

export function checkNode(version = process.versions.node): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const enough = major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1])
  return enough
    ? makeCheck('Node', 'ok', version)
    : makeCheck('Node', 'bad', `${version}, ${FLOOR.join('.')} or newer is needed`, {
        remedies: ['without administrator: conda install -c conda-forge nodejs'],
      })
}

export function checkBlake3(backend: 'native' | 'wasm' = blake3Backend): Check {
  return backend === 'native'
    ? makeCheck('BLAKE3', 'ok', 'native')
    : makeCheck('BLAKE3', 'warn', 'WebAssembly: hashing is some five times slower', {
        remedies: ['npm install --include=optional @napi-rs/blake-hash'],
      })
}

/** A package with compiled code, and the package of ours that depends on it. */
export type NativeModule = readonly [name: string, of: string]

/** Loads each package with compiled code: prebuilt binaries may not fit this C library or processor. */
export function checkNativeModules(modules: readonly NativeModule[]): Check {
  const name = 'native modules'
  const faults = modules.flatMap(module => {
    const fault = loadFault(module)
    return fault === null ? [] : [`${module[0]}: ${fault}`]
  })
  const library = cLibrary()
  if (faults.length === 0)
    return makeCheck(name, 'ok', `${modules.map(([module]) => module).join(', ')} load`, {
      detail: library,
    })
  return makeCheck(name, 'bad', `${faults.length} of ${modules.length} do not load`, {
    detail: `${faults.join('; ')} (${library})`,
    remedies: ['npm rebuild', 'or use Node and a Linux with glibc 2.31 or newer'],
  })
}

function loadFault([name, of]: NativeModule): string | null {
  try {
    const ours = createRequire(import.meta.url)
    createRequire(ours.resolve(of))(name)
    return null
  } catch (error) {
    return String((error as Error).message)
      .split('\n')[0]!
      .slice(0, 200)
  }
}

function cLibrary(): string {
  const report: NodeJS.ProcessReport & { excludeNetwork?: boolean } = process.report
  report.excludeNetwork = true
  const { header } = report.getReport() as unknown as {
    header: { glibcVersionRuntime?: string }
  }
  return header.glibcVersionRuntime ? `glibc ${header.glibcVersionRuntime}` : 'not glibc'
}
