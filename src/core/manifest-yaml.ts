import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type ParsedNode,
  Parser,
} from 'yaml'

/** What a manifest may hold: far above what a person writes, far below what hurts. */
const MAX_DEPTH = 64
const MAX_TOKENS = 200_000
const MAX_VALUES = 50_000

export type Path = readonly (string | number)[]

export interface Position {
  readonly line: number
  readonly column: number
}

interface YamlFault extends Position {
  readonly path: Path
  readonly value?: unknown
  readonly message: string
}

export interface YamlSource {
  /** Plain JSON values; undefined when there are faults that leave nothing to look at. */
  readonly value: unknown
  readonly faults: readonly YamlFault[]
  /** Where the value at `path` stands, or its key; of a path that is not there, the key of the nearest parent. */
  locate(path: Path, part?: 'value' | 'key'): Position
}

/**
 * Reads one YAML 1.2 core document and keeps positions. Doubled keys, other tags, merge keys, unbounded aliases
 * and whatever has no JSON form are faults, all of them listed. Depth and number of tokens are bounded
 * before anything is built, so a hostile text costs little. Never throws.
 */
export function readYaml(text: string): YamlSource {
  const lines = new LineCounter()
  lines.addNewLine(0)
  const { tokens, fault } = tokenize(text, lines)
  if (fault) return { value: undefined, faults: [fault], locate: () => ({ line: 1, column: 1 }) }
  const documents = [
    ...new Composer({ uniqueKeys: false, merge: false, version: '1.2', schema: 'core' }).compose(
      tokens,
    ),
  ]
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const faults: YamlFault[] = []
  for (const document of documents)
    for (const error of [...document.errors, ...document.warnings])
      faults.push({ ...at(error.pos[0]), path: [], message: yamlMessage(error.message) })
  const [document, second] = documents
  if (second)
    faults.push({
      ...at(second.range[0]),
      path: [],
      message: 'a manifest is one document: take out what follows the second "---"',
    })
  const locate = locator(document, at)
  if (!document || faults.length > 0) return { value: undefined, faults, locate }
  const reader = new Reader(document, at)
  const value = reader.read(document.contents as ParsedNode | null, [], [])
  return { value, faults: reader.faults, locate }
}

function tokenize(text: string, lines: LineCounter): { tokens: CST.Token[]; fault?: YamlFault } {
  const parser = new Parser(lines.addNewLine)
  const tokens: CST.Token[] = []
  let seen = 0
  let offset = 0
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token)
    const deep = parser.stack.length > MAX_DEPTH
    if (deep || ++seen > MAX_TOKENS) {
      const { line, col } = lines.linePos(offset)
      const message = deep
        ? `is nested more than ${MAX_DEPTH} levels deep`
        : `has more than ${MAX_TOKENS} YAML tokens: no manifest needs that many`
      return {
        tokens: [],
        fault: { line: Math.max(1, line), column: Math.max(1, col), path: [], message },
      }
    }
    if (!/^[\u0002\u0018\u001f\ufeff]$/.test(lexeme)) offset += lexeme.length
  }
  for (const token of parser.end()) tokens.push(token)
  return { tokens }
}

/** The parser adds where and an excerpt after the first line; we say where ourselves. */
function yamlMessage(message: string): string {
  const first = message.split('\n', 1)[0]!.replace(/ at line \d+, column \d+:?$/, '')
  return first.charAt(0).toLowerCase() + first.slice(1)
}

class Reader {
  readonly faults: YamlFault[] = []
  readonly #document: Document.Parsed
  readonly #at: (offset: number) => Position
  #values = 0

  constructor(document: Document.Parsed, at: (offset: number) => Position) {
    this.#document = document
    this.#at = at
  }

  read(node: ParsedNode | null, path: Path, anchors: readonly unknown[]): unknown {
    if (++this.#values > MAX_VALUES) {
      if (this.#values === MAX_VALUES + 1)
        this.#fault(node, path, `has more than ${MAX_VALUES} values, counting what aliases repeat`)
      return null
    }
    if (node === null) return null
    if (isAlias(node)) {
      const target = node.resolve(this.#document)
      if (target === undefined || anchors.includes(target)) {
        this.#fault(node, path, `the alias "*${node.source}" points to nothing, or to itself`)
        return null
      }
      return this.read(target as ParsedNode, path, anchors)
    }
    if (isScalar(node)) return this.#scalar(node, path)
    if (isSeq(node)) {
      return node.items.map((item, i) =>
        this.read(item as ParsedNode | null, [...path, i], [...anchors, node]),
      )
    }
    if (!isMap(node)) return null
    const result: Record<string, unknown> = {}
    const seen = new Map<string, ParsedNode>()
    for (const { key, value } of node.items) {
      const name = this.#key(key, path)
      if (name === null) continue
      const first = seen.get(name)
      if (first) {
        const line = this.#at(first.range[0]).line
        this.#fault(key, [...path, name], `the key "${name}" is there twice, first in line ${line}`)
        continue
      }
      seen.set(name, key)
      result[name] = this.read(value, [...path, name], [...anchors, node])
    }
    return result
  }

  #key(key: ParsedNode, path: Path): string | null {
    const scalar = isAlias(key) ? key.resolve(this.#document) : key
    if (!isScalar(scalar)) {
      this.#fault(key, path, 'a key must be plain text')
      return null
    }
    const name = scalar.value === null ? '' : String(scalar.source ?? scalar.value)
    if (name === '<<' && scalar.type === 'PLAIN') {
      this.#fault(key, [...path, name], 'merge keys ("<<") are not read: write the fields out')
      return null
    }
    if (name === '' || name === '__proto__' || !name.isWellFormed()) {
      this.#fault(key, path, 'this key is not allowed')
      return null
    }
    return name
  }

  #scalar(node: { value: unknown; range?: unknown }, path: Path): unknown {
    const { value } = node
    if (typeof value === 'string' && !value.isWellFormed())
      this.#fault(node, path, 'is no valid Unicode (a lone surrogate)')
    else if (typeof value === 'string' && value.includes('\0'))
      this.#fault(node, path, 'contains a NUL character')
    else if (typeof value === 'number' && !Number.isFinite(value))
      this.#fault(node, path, 'is no finite number')
    return typeof value === 'number' && !Number.isFinite(value) ? 0 : value
  }

  #fault(node: unknown, path: Path, message: string): void {
    const range = (node as ParsedNode | null)?.range
    const value = isScalar(node) ? node.value : undefined
    this.faults.push({ ...this.#at(range?.[0] ?? 0), path, value, message })
  }
}

function locator(document: Document.Parsed | undefined, at: (offset: number) => Position) {
  return (path: Path, part: 'value' | 'key' = 'value'): Position => {
    let node: unknown = document?.contents ?? null
    let offset = start(node) ?? 0
    let parent = offset
    for (const [i, name] of path.entries()) {
      if (isAlias(node) && document) node = node.resolve(document)
      const item = isSeq(node)
        ? node.items[Number(name)]
        : isMap(node)
          ? node.items.find(pair => isScalar(pair.key) && keyName(pair.key) === String(name))
          : undefined
      if (item === undefined) return at(parent)
      const keyAt = isPair(item) ? start(item.key) : start(item)
      node = isPair(item) ? item.value : item
      parent = keyAt ?? parent
      const wantsKey = part === 'key' && i === path.length - 1
      offset = (wantsKey ? keyAt : (start(node) ?? keyAt)) ?? offset
    }
    return at(offset)
  }
}

const keyName = (key: { value: unknown; source?: string }) => String(key.source ?? key.value)
const start = (node: unknown): number | undefined => (node as ParsedNode | null)?.range?.[0]
