/** Which steps of an activation are done, from what the server says of the controller. Pure. */
import type { ControllerStatus } from '@wmoc/api/contracts/controllers'

export const STEPS = ['found', 'confirmed', 'tunnel', 'registered'] as const
export type Step = (typeof STEPS)[number]
export type StepState = 'done' | 'now' | 'next'

/** By a token the device itself is found last: it comes with the tunnel. */
export function stepStates(status: ControllerStatus | null, hasTunnel: boolean, byToken: boolean) {
  const isOnline = status === 'online'
  const done: Record<Step, boolean> = {
    found: !byToken || hasTunnel || isOnline,
    confirmed: true,
    tunnel: hasTunnel || isOnline,
    registered: isOnline,
  }
  const order: readonly Step[] = byToken ? ['confirmed', 'found', 'tunnel', 'registered'] : STEPS
  const current = order.find((step) => !done[step])
  return order.map(
    (step) => ({ step, state: done[step] ? 'done' : step === current ? 'now' : 'next' }) as const,
  )
}
