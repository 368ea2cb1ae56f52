/** What a device of dialect v1 owes on the wire. */
import { expect, type Case } from '#src/case.ts'
import type { DeviceBench } from '#src/device/listener.ts'
import { answers } from './device.ts'
import { page, whole } from './requests.ts'

/** A message that a device may ignore or close on, but must survive. */
function survivesCase(id: string, title: string, message: string): Case<DeviceBench> {
  return {
    id: `survives-${id}`,
    title: `${title} leaves the device well`,
    spec: 'protocol v1: later versions add messages and fields',
    needs: ['v1'],
    async run(bench) {
      const { socket } = await bench.connection()
      socket.send(message)
      await answers(bench)
    },
  }
}

export const DEVICE_V1_CASES: readonly Case<DeviceBench>[] = [
  survivesCase('unknown', 'a message of a type it does not know', '{"type":"conformance_unknown","a":1}'),
  survivesCase('surplus', 'a field it does not know', '{"type":"ack","seq":0,"later":{"a":[1]}}'),
  survivesCase(
    'cancel',
    'the cancelling of a request it does not have',
    '{"type":"http_cancel","id":"nobody"}',
  ),
  {
    id: 'cancel',
    title: 'a request that is cancelled makes room for others',
    spec: 'protocol v1: http_cancel',
    needs: ['v1', 'page'],
    async run(bench) {
      const { transport } = await bench.connection()
      for (let at = 0; at < 6; at += 1) {
        const leaving = new AbortController()
        const asked = whole(transport, { path: page('slow?ms=300'), signal: leaving.signal })
        setTimeout(() => leaving.abort(), 50)
        const left = await asked.then(
          () => 'answered',
          () => 'left',
        )
        expect('the one who left', left, 'left')
      }
      expect('status', (await whole(transport, { path: page('') })).status, 200)
    },
  },
]
