import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { ALERTS } from '@wmoc/observability/all-alerts'
import { alertingRule } from '@wmoc/observability/alert'
import { RECORDING_RULES } from '@wmoc/observability/recording'
import fc from 'fast-check'
import { expressionProblem } from './check.ts'
import { regexProblem, stringProblem, templateProblem } from './strings.ts'

const GOOD = [
  'up == 0',
  'vector(1)',
  'time() > bool 3',
  '1 > bool 0',
  'rate(x_total[5m]) > 0.1',
  'sum by (job) (rate(x_total{code=~"5..|4.."}[5m])) / sum by (job) (rate(x_total[5m])) > 1e-3',
  'histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m]))) > 2',
  'max_over_time(rate(up[1m])[5m:])',
  'max_over_time(up[5m:30s] offset 1h)',
  'x offset -10m',
  'x @ start() > x @ 1600000000',
  '-up',
  'a and on (x) b unless ignoring (y) c or d',
  'a == on (x) group_left (b) c',
  'topk(3, up)',
  'quantile by (job) (0.9, up)',
  'count_values("v", up)',
  'sum(up) without (a)',
  'absent(up{job="x"})',
  'label_replace(up, "a", "$1", "b", "(.*)")',
  'label_join(up, "a", ",")',
  'round(up)',
  'round(up, 0.1)',
  'hour() > 5',
  'a * b offset 5m > c @ 10',
  'pi() > bool 3',
  'scalar(up) > bool 0',
  '{__name__=~"a.+"}',
  'up{job=~`a\\d+`}',
  'up{job=~"a\\\\d+"}',
  'up{job=~"(?i)a"}',
  'up{job!~"(?P<x>a)"}',
  'up > Inf',
  '0x1F > bool 1',
  '# a comment\nup > 0',
  'sgn(delta(x[1h30m])) < 0',
  'a atan2 b',
]
const BAD = [
  '',
  'up ==',
  'rate(up)',
  'rate(up[5m]',
  'sum(up) by (job',
  'foo{',
  'up{job=~"("}',
  'up{job=~"a\\d"}',
  'up{job=~"(?=a)"}',
  '1 + "a"',
  '1 == 1',
  'nofunc(up)',
  '"abc"',
  'up[5m]',
  'up[5m:]',
  'up and 1',
  'up; down',
  'bool == 1',
  '{}',
  '{job=~".*"}',
  '{job=""}',
  '{job!="a"}',
  'up{__name__="b"}',
  'a == on (x) group_left (x) b',
  'a and on (x) group_left b',
  'a + on (x) 1',
  'a + bool b',
  'up > 1e400',
  'min(up',
  'sum(1)',
  'sum(up, up)',
  'topk(up)',
  'topk("a", up)',
  'count_values(1, up)',
  'rate(sum(up)[5m])',
  'rate(up[0s])',
  'rate(up[5x])',
  'sum(up) offset 5m',
  'clamp(up, 1)',
  'time(1)',
  '-"a"',
  'sum(rate(foo[$__rate_interval]))',
  '{{ $value }}',
  'up up',
]

/** Which of the expressions promtool refuses. */
function refusedByPromtool(expressions: readonly string[]): Set<string> {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-promql-'))
  try {
    const paths = expressions.map((expr, index) => {
      const path = join(folder, `${index}.yaml`)
      writeFileSync(path, JSON.stringify({ groups: [{ name: 'g', rules: [{ alert: 'A', expr }] }] }))
      return path
    })
    const { stdout, stderr, error } = spawnSync('promtool', ['check', 'rules', ...paths], {
      encoding: 'utf8',
    })
    if (error) throw error
    const failed = new Set(
      [...`${stdout}${stderr}`.matchAll(/^(?: {2})?(\S+\.yaml): /gm)].map(([, path]) => path),
    )
    return new Set(expressions.filter((_expr, index) => failed.has(paths[index])))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Expressions put together at random, many of them wrong. */
const atom = fc.constantFrom(
  'up',
  'x{a="b"}',
  'x{a=~"b+"}',
  '1',
  '0.5',
  '"t"',
  'x[5m]',
  'time()',
  '{a=~".*"}',
)
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4 },
    atom,
    fc
      .tuple(
        tie('expression'),
        fc.constantFrom('+', '>', '> bool', 'and', 'unless', '== on (a)', '/ ignoring (a) group_left', 'or'),
        tie('expression'),
      )
      .map((parts) => parts.join(' ')),
    fc
      .tuple(
        fc.constantFrom(
          'rate',
          'abs',
          'scalar',
          'vector',
          'absent',
          'sum',
          'max by (a)',
          'count_over_time',
          'hour',
        ),
        tie('expression'),
      )
      .map(([name, inner]) => `${name} (${inner})`),
    fc
      .tuple(
        fc.constantFrom('topk', 'quantile', 'count_values', 'clamp_max', 'round', 'quantile_over_time'),
        tie('expression'),
        tie('expression'),
      )
      .map(([name, a, b]) => `${name}(${a}, ${b})`),
    tie('expression').map((inner) => `(${inner})`),
    tie('expression').map((inner) => `-${inner}`),
    tie('expression').map((inner) => `${inner}[5m:1m]`),
    tie('expression').map((inner) => `${inner} offset 1m`),
  ),
}))

suite('an expression of a rule', () => {
  test('is taken when it is good', () => {
    for (const expr of GOOD) assert.equal(expressionProblem(expr), null, expr)
  })

  test('is refused when it is bad, with words', () => {
    for (const expr of BAD) assert.ok((expressionProblem(expr) ?? '').length > 10, expr)
  })

  test('is refused where promtool refuses it, and taken where promtool takes it', () => {
    const refused = refusedByPromtool([...GOOD, ...BAD])
    for (const expr of GOOD) assert.ok(!refused.has(expr), expr)
    // Texts and ranges pass promtool, and no server evaluates them as a rule.
    const silent = ['"abc"', 'up[5m]', 'up[5m:]', '']
    for (const expr of BAD) assert.ok(refused.has(expr) || silent.includes(expr), expr)
  })

  test('put together at random is judged as promtool judges it', () => {
    const samples = [...new Set(fc.sample(expression, { numRuns: 1_500, seed: 7 }))]
    const refused = refusedByPromtool(samples)
    assert.ok(refused.size > 50 && refused.size < samples.length - 50)
    for (const expr of samples) {
      const ours = expressionProblem(expr)
      if (refused.has(expr)) assert.notEqual(ours, null, expr)
      else assert.ok(ours === null || /a rule needs a value/.test(ours), `${expr}: ${ours}`)
    }
  })

  test('of every alert and recording rule that comes with the platform is good', () => {
    for (const alert of Object.values(ALERTS)) {
      const rule = alertingRule(alert, { matchers: ['namespace="shop"'], threshold: 3 })
      assert.equal(expressionProblem(rule.expr), null, rule.expr)
      for (const text of Object.values(rule.annotations)) assert.equal(templateProblem(text), null, text)
    }
    for (const { expr } of RECORDING_RULES) assert.equal(expressionProblem(expr), null, expr)
  })

  test('never makes the check throw', () => {
    const tokens = fc.constantFrom(
      'up',
      '(',
      ')',
      '{',
      '}',
      '[',
      ']',
      '5m',
      '"',
      "'",
      '`',
      '=~',
      ',',
      'by',
      'sum',
      'rate',
      '@',
      'offset',
      '-',
      ' ',
      '\\',
      '1',
      'and',
      ':',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(tokens).map((parts) => parts.join('')),
        ),
        (text) => {
          const answer = expressionProblem(text)
          assert.ok(answer === null || answer.length > 0)
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

suite('the texts of a rule', () => {
  test('know the escapes of Go', () => {
    for (const good of ['"a"', '"\\n\\"\\x41\\u00e9"', "'\\''", '`\\d`'])
      assert.equal(stringProblem(good), null, good)
    for (const bad of ['"\\d"', '"\\\'"', '"\\x4"', '"\\u12"']) assert.notEqual(stringProblem(bad), null, bad)
  })

  test('know regular expressions of RE2', () => {
    for (const good of ['a|b', '(?i)a', '(?P<n>a)', '[a-z]{2,3}', ''])
      assert.equal(regexProblem(good), null, good)
    for (const bad of ['(', 'a**', '[z-a]', '(?!a)', '(a)\\1']) assert.notEqual(regexProblem(bad), null, bad)
  })

  test('know templates', () => {
    const good = [
      'plain',
      '{{ $value }}',
      'of {{ $labels.job }}: {{ $value | humanizePercentage }}.',
      '{{ printf "%.2f" $value }}',
    ]
    const bad = [
      '{{ $value',
      '{{ $labels.a | nofilter }}',
      '{{ if }}',
      '{{ }}',
      '{{ query "x" }}',
      '{{ $labels. }}',
    ]
    for (const text of good) assert.equal(templateProblem(text), null, text)
    for (const text of bad) assert.notEqual(templateProblem(text), null, text)
  })
})
