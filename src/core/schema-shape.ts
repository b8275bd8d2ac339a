import type { z } from 'zod'

/** Looking into zod schemas: which keys a place of a record may have, and which words a value may be. */
type Schema = z.core.$ZodType
type Def = {
  readonly type: string
  readonly shape?: Record<string, Schema>
  readonly innerType?: Schema
  readonly options?: readonly Schema[]
  readonly element?: Schema
  readonly valueType?: Schema
  readonly discriminator?: string
}
const defOf = (schema: Schema) => schema._zod.def as unknown as Def

/** The schema without `optional`, `default` and the like. */
function unwrap(schema: Schema): Schema {
  const inner = defOf(schema).innerType
  return inner ? unwrap(inner) : schema
}

/** Every alternative that `value` may be meant as: the members of unions, narrowed by the discriminator. */
function alternatives(schema: Schema, value: unknown): Schema[] {
  const bare = unwrap(schema)
  const { options, discriminator } = defOf(bare)
  if (!options) return [bare]
  if (discriminator !== undefined && typeof value === 'object' && value !== null) {
    const chosen = options.filter(option => {
      const tag = defOf(unwrap(option)).shape?.[discriminator]
      const word = (value as Record<string, unknown>)[discriminator]
      return tag?._zod.values?.has(word as z.core.util.Primitive)
    })
    if (chosen.length > 0) return chosen.flatMap(option => alternatives(option, value))
  }
  return options.flatMap(option => alternatives(option, value))
}

/** The keys that a mapping at `path` of `root` may have, given what stands there. */
export function keysAt(schema: Schema, path: readonly PropertyKey[], root: unknown): string[] {
  let places: { schema: Schema; value: unknown }[] = alternatives(schema, root).map(s => ({
    schema: s,
    value: root,
  }))
  for (const part of path) {
    places = places.flatMap(({ schema: place, value }) => {
      const { shape, element, valueType } = defOf(place)
      const next = shape ? shape[String(part)] : (element ?? valueType)
      const below = (value as Record<PropertyKey, unknown> | null | undefined)?.[part]
      return next ? alternatives(next, below).map(s => ({ schema: s, value: below })) : []
    })
  }
  return [...new Set(places.flatMap(({ schema: s }) => Object.keys(defOf(s).shape ?? {})))]
}

/** Every key that a record of this schema may have anywhere, as dotted paths (`apps.*.outputs[].path`). */
export function allKeys(schema: Schema, prefix = ''): string[] {
  const found = alternatives(schema, undefined).flatMap(place => {
    const { shape, element, valueType } = defOf(place)
    if (shape) {
      return Object.entries(shape).flatMap(([key, inner]) => {
        const path = prefix === '' ? key : `${prefix}.${key}`
        return [path, ...allKeys(inner, path)]
      })
    }
    if (element) return allKeys(element, `${prefix}[]`)
    return valueType ? allKeys(valueType, `${prefix}.*`) : []
  })
  return [...new Set(found)]
}
