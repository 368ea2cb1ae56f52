import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseOptions } from './options.ts'

suite('the options of npm start', () => {
  test('without any, the machine’s own names and port 8080', () => {
    const expected = { port: 8_080, host: null, isReset: false, hasSims: true, shards: 1 }
    assert.deepEqual(parseOptions([]), expected)
  })

  test('a host is a name in lower case, maybe with a port', () => {
    const hostOf = (text: string) => {
      const options = parseOptions(['--host', text])
      return 'text' in options ? options.exitCode : options.host
    }
    assert.equal(hostOf('Box.Example'), 'box.example')
    assert.equal(hostOf('box.example:8443'), 'box.example:8443')
    assert.equal(hostOf('localhost'), 'localhost')
    for (const wrong of [
      '',
      '10.0.0.1',
      '10.0.0.1:80',
      'https://box.example',
      'a b',
      '-a',
      'a.',
      'a:0',
      'a:x',
      '[::1]',
    ])
      assert.equal(hostOf(wrong), 2, wrong)
  })
})
