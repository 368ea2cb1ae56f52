/**
 * Whether Prometheus will take an expression: its own grammar (`@prometheus-io/lezer-promql`), then the types as
 * `promql/parser/parse.go` checks them. One bad rule makes Prometheus refuse a whole file. Pure.
 */
import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import { signatureOf } from './functions.ts'
import type { Signature, ValueType } from './functions.ts'
import { regexProblem, stringProblem, unquote } from './strings.ts'

/** What is wrong with the expression of a rule, for people, or null. */
export function expressionProblem(text: string): string | null {
  try {
    const root = parser.parse(text).topNode
    const broken = firstError(root)
    if (broken !== null) throw problem(`does not end or begin as PromQL should at ${place(text, broken)}`)
    const [expression, ...more] = children(root)
    if (expression === undefined || more.length > 0) throw problem('is not one expression of PromQL')
    const type = createTypes(text)(expression)
    if (type === 'vector' || type === 'scalar') return null
    throw problem(
      `gives a ${type === 'matrix' ? 'range of samples' : type}; a rule needs a value for each series`,
    )
  } catch (error) {
    if (error instanceof Problem) return error.message
    throw error
  }
}

class Problem extends Error {}
const problem = (text: string) => new Problem(text)

function firstError(root: SyntaxNode): number | null {
  let found: number | null = null
  root.cursor().iterate((node) => {
    if (node.type.isError) found ??= node.from
  })
  return found
}

function place(text: string, at: number): string {
  const rest = text.slice(at).trim()
  return rest === '' ? 'its end' : `character ${at + 1}: ${rest.slice(0, 30)}`
}

function children(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = []
  for (let child = node.firstChild; child !== null; child = child.nextSibling)
    if (child.name !== 'LineComment') found.push(child)
  return found
}

/**
 * What stands right before an `offset` or `@` behind this node: the grammar of the editor puts `a * b offset 5m` together
 * as (a * b) offset 5m, Prometheus as a * (b offset 5m). Null where something is shifted twice.
 */
function shiftedPart(node: SyntaxNode, before: readonly string[]): SyntaxNode | null {
  if (OPERATIONS.has(node.name)) return shiftedPart(children(node).at(-1)!, before)
  if (node.name !== 'OffsetExpr' && node.name !== 'StepInvariantExpr') return node
  return before.includes(node.name) ? null : shiftedPart(children(node)[0]!, [...before, node.name])
}

function unshifted(node: SyntaxNode): SyntaxNode {
  return node.name === 'OffsetExpr' || node.name === 'StepInvariantExpr'
    ? unshifted(children(node)[0]!)
    : node
}

const COMPARISONS = new Set(['Eql', 'Neq', 'Gtr', 'Gte', 'Lss', 'Lte'])
const OPERATIONS = new Set(['BinaryExpr', 'UnaryExpr'])
const SET_OPERATORS = new Set(['And', 'Or', 'Unless'])
/** What `offset` and `@` may follow. */
const SELECTORS = new Set(['VectorSelector', 'MatrixSelector', 'SubqueryExpr'])

/** The type of a node; throws a Problem. */
function createTypes(text: string): (node: SyntaxNode) => ValueType {
  const source = (node: SyntaxNode) => text.slice(node.from, node.to)

  function typeOf(node: SyntaxNode): ValueType {
    const parts = children(node)
    switch (node.name) {
      case 'NumberDurationLiteral':
        return number(source(node))
      case 'StringLiteral':
        literal(node)
        return 'string'
      case 'ParenExpr':
        return typeOf(parts[0]!)
      case 'UnaryExpr':
        return expect(parts.at(-1)!, ['scalar', 'vector'], source(parts[0]!))
      case 'VectorSelector':
        return selector(node, parts)
      case 'MatrixSelector':
        if (parts[0]!.name !== 'VectorSelector')
          throw problem(`a range like [5m] needs a series before it, not ${source(parts[0]!)}`)
        selector(parts[0]!, children(parts[0]!))
        parts.slice(1).forEach(duration)
        return 'matrix'
      case 'SubqueryExpr':
        if (OPERATIONS.has(unshifted(parts[0]!).name))
          throw problem(`${source(parts[0]!)} needs parentheses before a range`)
        expect(parts[0]!, ['vector'], 'a subquery')
        parts.slice(1).forEach(duration)
        return 'matrix'
      case 'OffsetExpr':
      case 'StepInvariantExpr':
        return shifted(node, parts)
      case 'BinaryExpr':
        return binary(parts)
      case 'AggregateExpr':
        return aggregate(parts)
      case 'FunctionCall':
        return call(parts)
      default:
        throw problem(`${source(node)} is not known to every Prometheus`)
    }
  }

  function expect(node: SyntaxNode, types: readonly ValueType[], where: string): ValueType {
    const type = typeOf(node)
    if (types.includes(type)) return type
    throw problem(`${where} takes ${types.map(called).join(' or ')}, and ${source(node)} is ${called(type)}`)
  }

  function literal(node: SyntaxNode): string {
    const wrong = stringProblem(source(node))
    if (wrong !== null) throw problem(wrong)
    return unquote(source(node))
  }

  function duration(node: SyntaxNode): void {
    if (!/^(?:[0-9]+(?:ms|[smhdwy]))+$/.test(source(node)))
      throw problem(`${source(node)} is no length of time that every Prometheus knows: write 5m or 1h30m`)
    if (!/[1-9]/.test(source(node))) throw problem('a length of time must be longer than 0')
  }

  function shifted(node: SyntaxNode, [inner, ...rest]: SyntaxNode[]): ValueType {
    if (!SELECTORS.has(shiftedPart(inner!, [node.name])?.name ?? ''))
      throw problem(`${source(node)}: only series can be shifted in time, and once`)
    for (const part of rest) {
      if (part.name === 'OffsetDurationExpr' && !/^-?\s*(?:[0-9]+(?:ms|[smhdwy]))+$/.test(source(part)))
        throw problem(`${source(part)} is no length of time that every Prometheus knows: write 5m or 1h30m`)
      if (part.name === 'NumberDurationLiteral') number(source(part))
    }
    return typeOf(inner!)
  }

  function selector(node: SyntaxNode, parts: readonly SyntaxNode[]): ValueType {
    const name = parts.find(({ name: kind }) => kind === 'Identifier')
    const matchers = parts.filter(({ name: kind }) => kind === 'LabelMatchers').flatMap(children)
    let isNamed = name !== undefined
    for (const matcher of matchers) {
      const [label, operator, value] = children(matcher)
      if (matcher.name !== 'UnquotedLabelMatcher' || !label || !operator || !value)
        throw problem(`${source(matcher)}: names in quotes are not known to every Prometheus`)
      const wanted = literal(value)
      const isRegex = /Regex/.test(operator.firstChild?.name ?? '')
      const wrong = isRegex ? regexProblem(wanted) : null
      if (wrong !== null) throw problem(wrong)
      if (name !== undefined && source(label) === '__name__')
        throw problem(`${source(node)} names its metric twice`)
      if (!matchesNothing(source(operator), wanted)) isNamed = true
    }
    if (!isNamed) throw problem(`${source(node)} would select everything: name a metric or a label's value`)
    return 'vector'
  }

  function binary(parts: readonly SyntaxNode[]): ValueType {
    const [left, operator, ...rest] = parts
    const right = rest.at(-1)!
    const name = operator!.name
    const types = [left!, right].map((side) => expect(side, ['scalar', 'vector'], source(operator!)))
    const areScalars = types.every((type) => type === 'scalar')
    const hasBool = rest.some((part) => part.name === 'BoolModifier')
    const matching = rest.find((part) => part.name === 'MatchingModifierClause')
    if (COMPARISONS.has(name) && areScalars && !hasBool)
      throw problem(`a comparison of two numbers needs bool: ${source(operator!)} bool`)
    if (hasBool && !COMPARISONS.has(name)) throw problem('bool belongs to comparisons only')
    if (SET_OPERATORS.has(name) && types.includes('scalar'))
      throw problem(`${source(operator!)} stands between series, not numbers`)
    if (matching) match(matching, name, types)
    return areScalars ? 'scalar' : 'vector'
  }

  function match(clause: SyntaxNode, operator: string, types: readonly ValueType[]): void {
    const parts = children(clause)
    if (types.includes('scalar')) throw problem(`${source(clause)} stands between series, not numbers`)
    const grouping = parts.findIndex((part) => /^Group(?:Left|Right)$/.test(part.name))
    if (grouping === -1) return
    if (SET_OPERATORS.has(operator))
      throw problem(`${source(parts[grouping]!)} does not go with and, or, unless`)
    const labels = parts
      .filter((part) => part.name === 'GroupingLabels')
      .map((part) => new Set(children(part).map(source)))
    const twice = [...(labels[1] ?? [])].filter((label) => labels[0]?.has(label))
    if (parts[0]!.name === 'On' && twice.length > 0)
      throw problem(`${twice.join(', ')} stands both in on and in ${source(parts[grouping]!)}`)
  }

  function aggregate(parts: readonly SyntaxNode[]): ValueType {
    const operator = source(parts.find((part) => part.name === 'AggregateOp')!).toLowerCase()
    const args = children(parts.find((part) => part.name === 'FunctionCallBody')!)
    const parameter = PARAMETERS[operator]
    if (parameter === undefined) throw problem(`${operator} is not known to every Prometheus`)
    if (args.length !== (parameter === null ? 1 : 2))
      throw problem(`${operator} takes ${parameter === null ? 'one argument' : 'two arguments'}`)
    if (parameter !== null) expect(args[0]!, [parameter], operator)
    for (const labels of parts.filter((part) => part.name === 'AggregateModifier').flatMap(children))
      for (const label of labels.name === 'GroupingLabels' ? children(labels) : [])
        if (label.name !== 'LabelName')
          throw problem(`${source(label)}: labels in quotes are not known to every Prometheus`)
    expect(args.at(-1)!, ['vector'], operator)
    return 'vector'
  }

  function call(parts: readonly SyntaxNode[]): ValueType {
    const name = source(parts[0]!)
    const signature = signatureOf(name)
    if (signature === undefined) throw problem(`the function ${name} is not known to every Prometheus`)
    const args = children(parts.find((part) => part.name === 'FunctionCallBody')!)
    const least = signature.args.length - signature.optional - (signature.isVariadic ? 1 : 0)
    const isMany = args.length > signature.args.length && !signature.isVariadic
    if (args.length < least || isMany)
      throw problem(`${name} takes ${countOf(signature)}, not ${args.length}`)
    args.forEach((arg, index) => expect(arg, [signature.args[index] ?? signature.args.at(-1)!], name))
    return signature.returns
  }

  return typeOf
}

function number(text: string): 'scalar' {
  if (/^[+-]?(?:inf|nan)$/i.test(text) || /^0x[0-9a-f]+$/i.test(text)) return 'scalar'
  if (!/^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?$/i.test(text))
    throw problem(`${text} is no number that every Prometheus knows`)
  if (!Number.isFinite(Number(text))) throw problem(`${text} is too large a number`)
  return 'scalar'
}

/** Aggregations, and the type of their parameter. */
const PARAMETERS: Readonly<Record<string, ValueType | null>> = {
  ...Object.fromEntries(
    ['avg', 'count', 'group', 'max', 'min', 'stddev', 'stdvar', 'sum'].map((name) => [name, null]),
  ),
  bottomk: 'scalar',
  topk: 'scalar',
  quantile: 'scalar',
  count_values: 'string',
}

function called(type: ValueType): string {
  return { vector: 'series', scalar: 'a number', matrix: 'a range like [5m]', string: 'a text' }[type]
}

function countOf({ args, optional, isVariadic }: Signature): string {
  if (isVariadic) return `${args.length - 1} arguments or more`
  const least = args.length - optional
  return `${optional > 0 ? `${least} to ` : ''}${args.length} argument${args.length === 1 ? '' : 's'}`
}

/** Whether a label that is not there would match, too. */
function matchesNothing(operator: string, value: string): boolean {
  if (operator === '=') return value === ''
  if (operator === '!=') return value !== ''
  let isEmptyMatched: boolean
  try {
    isEmptyMatched = new RegExp(`^(?:${value.replaceAll(/\(\?[imsU-]+\)/g, '')})$`).test('')
  } catch {
    isEmptyMatched = false
  }
  return operator === '=~' ? isEmptyMatched : !isEmptyMatched
}
