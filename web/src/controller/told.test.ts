import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTold, toldText } from './told.ts'

test('what a device says of itself reads as words: lists by comma, sizes with units', () => {
  assert.equal(toldText('features', ['overlap', 'resume'], 'en'), 'overlap, resume')
  assert.equal(toldText('max_request_body', 1_048_576, 'en'), '1.05 MB')
  assert.equal(toldText('max_req_header', 'long', 'en'), 'long')
  assert.equal(toldText('features', [], 'en'), '[]')
})

test('a field of the firmware’s own keeps its name and its value', () => {
  assert.equal(isTold('max_streams'), true)
  assert.equal(isTold('rack'), false)
  assert.equal(toldText('rack', { row: 3 }, 'en'), '{"row":3}')
})
