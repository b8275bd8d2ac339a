const FORM = /^(?:https:\/\/orcid\.org\/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])$/

/** Why `text` is no ORCID, or null when it is one: its form, and its check digit (ISO 7064 mod 11-2). */
export function orcidFault(text: string): string | null {
  const digits = FORM.exec(text)?.[1]?.replaceAll('-', '')
  if (digits === undefined) return 'expected an ORCID like 0000-0002-1825-0097'
  let sum = 0
  for (const digit of digits.slice(0, 15)) sum = (sum + Number(digit)) * 2
  const check = (12 - (sum % 11)) % 11
  return digits[15] === (check === 10 ? 'X' : String(check))
    ? null
    : 'is no ORCID: its check digit is wrong, so a digit was mistyped'
}
