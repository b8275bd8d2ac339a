import { nearest } from './text.ts'

/** SPDX identifiers that research is published under; others are valid too, and only not recognised here. */
const KNOWN = [
  '0BSD',
  'AFL-3.0',
  'AGPL-3.0-only',
  'AGPL-3.0-or-later',
  'Apache-2.0',
  'Artistic-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BSD-3-Clause-Clear',
  'BSL-1.0',
  'CC-BY-3.0',
  'CC-BY-4.0',
  'CC-BY-NC-4.0',
  'CC-BY-NC-ND-4.0',
  'CC-BY-NC-SA-4.0',
  'CC-BY-ND-4.0',
  'CC-BY-SA-3.0',
  'CC-BY-SA-4.0',
  'CC0-1.0',
  'CDLA-Permissive-1.0',
  'CDLA-Permissive-2.0',
  'CDLA-Sharing-1.0',
  'CECILL-2.1',
  'CECILL-B',
  'CECILL-C',
  'ECL-2.0',
  'EPL-2.0',
  'EUPL-1.2',
  'etalab-2.0',
  'GFDL-1.3-only',
  'GPL-2.0-only',
  'GPL-2.0-or-later',
  'GPL-3.0-only',
  'GPL-3.0-or-later',
  'ISC',
  'LGPL-2.1-only',
  'LGPL-2.1-or-later',
  'LGPL-3.0-only',
  'LGPL-3.0-or-later',
  'MIT',
  'MIT-0',
  'MPL-2.0',
  'NCSA',
  'ODbL-1.0',
  'ODC-By-1.0',
  'OGL-UK-3.0',
  'PDDL-1.0',
  'PSF-2.0',
  'Python-2.0',
  'UPL-1.0',
  'Unlicense',
  'WTFPL',
  'Zlib',
  'GPL-2.0',
  'GPL-3.0',
  'LGPL-2.1',
  'LGPL-3.0',
  'AGPL-3.0',
] as const

const WRITTEN_OTHERWISE: Readonly<Record<string, string>> = {
  gpl: 'GPL-3.0-or-later',
  gplv2: 'GPL-2.0-only',
  gplv3: 'GPL-3.0-only',
  'gpl-2': 'GPL-2.0-only',
  'gpl-3': 'GPL-3.0-only',
  lgplv3: 'LGPL-3.0-only',
  apache: 'Apache-2.0',
  apache2: 'Apache-2.0',
  bsd: 'BSD-3-Clause',
  cc0: 'CC0-1.0',
  'cc-by': 'CC-BY-4.0',
  'cc-by-sa': 'CC-BY-SA-4.0',
}

/** True for the SPDX identifiers in common use, and for the document's own `LicenseRef-…`. */
export function isKnownLicense(id: string): boolean {
  return /^LicenseRef-[A-Za-z0-9.-]+$/.test(id) || (KNOWN as readonly string[]).includes(id)
}

/** The identifier that was probably meant. */
export function nearestLicense(text: string): string | undefined {
  const word = text.toLowerCase().replace(/\s+/g, '-')
  return WRITTEN_OTHERWISE[word] ?? nearest(word, KNOWN)
}

/** Which licence a licence file holds, by sentences that only that licence has; null when none is recognised. */
export function recogniseLicense(text: string): string | null {
  const words = text.slice(0, 100_000).toLowerCase().replace(/\s+/g, ' ')
  const has = (...parts: string[]) => parts.every(part => words.includes(part))
  if (has('creative commons') || has('cc0')) {
    if (has('cc0 1.0')) return 'CC0-1.0'
    const kind = has('noncommercial-sharealike')
      ? 'BY-NC-SA'
      : has('noncommercial-noderiv')
        ? 'BY-NC-ND'
        : has('attribution-noncommercial')
          ? 'BY-NC'
          : has('attribution-sharealike')
            ? 'BY-SA'
            : has('attribution-noderiv')
              ? 'BY-ND'
              : 'BY'
    if (has('4.0 international')) return `CC-${kind}-4.0`
    if (has('attribution 3.0') || has('3.0 unported')) return `CC-${kind}-3.0`
  }
  const gnu = (name: string, versions: readonly string[]) =>
    versions.find(
      version =>
        has(`gnu ${name} general public license version ${version.replace(/\.0$/, '')}`) ||
        has(`gnu ${name} general public license`, `version ${version.replace(/\.0$/, '')},`),
    )
  const affero = gnu('affero', ['3.0'])
  if (affero) return `AGPL-${affero}-only`
  const lesser = gnu('lesser', ['2.1', '3.0'])
  if (lesser) return `LGPL-${lesser}-only`
  if (has('gnu general public license', 'version 3,')) return 'GPL-3.0-only'
  if (has('gnu general public license', 'version 2,')) return 'GPL-2.0-only'
  if (has('apache license', 'version 2.0')) return 'Apache-2.0'
  if (has('mozilla public license', 'version 2.0') || has('mozilla public license version 2.0'))
    return 'MPL-2.0'
  if (
    has(
      'permission is hereby granted, free of charge',
      'the above copyright notice and this permission notice',
    )
  )
    return 'MIT'
  if (has('redistribution and use in source and binary forms'))
    return has('neither the name') || has('may not be used to endorse')
      ? 'BSD-3-Clause'
      : 'BSD-2-Clause'
  if (has('permission to use, copy, modify, and/or distribute this software for any purpose'))
    return 'ISC'
  if (has('this is free and unencumbered software')) return 'Unlicense'
  if (has('open data commons', 'open database license')) return 'ODbL-1.0'
  return null
}
