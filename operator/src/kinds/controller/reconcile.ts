/** One step towards what a Controller says: observe, declare, apply, status. The API's database is the truth. */
import type { Secret } from 'kubernetes-types/core/v1.d.ts'
import type { ControllerDefinition, ReconcileContext, ReconcileResult } from '#src/runtime/controller.ts'
import {
  addFinalizer,
  canonical,
  controllerOf,
  hasFinalizer,
  isDeleting,
  removeFinalizer,
} from '#src/runtime/metadata.ts'
import { keyOf } from '#src/runtime/objects.ts'
import type { Ref, Stored } from '#src/runtime/objects.ts'
import { Secrets } from '#src/runtime/resources.ts'
import { ControlPlaneError } from './control-plane.ts'
import type { Answer, ControlPlane } from './control-plane.ts'
import { activationSecret, declarationOf } from './desired.ts'
import { Controllers } from './schema.ts'
import type { DeclaredController } from './schema.ts'
import { eventsOf, statusOf } from './status.ts'
import type { Outcome } from './status.ts'

export const FINALIZER = 'wmoc.online/enrolment'
/** How often the API is asked what a controller is, and its status is written at most. */
const POLL_MS = 60_000
/** As often where what changes by itself is not told. */
const QUIET_POLL_MS = 600_000
/** Above this many objects their status tells nothing that changes by itself. */
const MAX_TELEMETRY_OBJECTS = 1_000

type Context = ReconcileContext<DeclaredController>
type Found = Stored<DeclaredController>

/** @param controlPlane Null where the operator was not told how to reach the API. */
export function createControllerController(
  controlPlane: ControlPlane | null,
  pollMs: number = POLL_MS,
): ControllerDefinition<DeclaredController> {
  /** When each object was last looked at without failure, and which generation of it. */
  const looked = new Map<string, { readonly at: number; readonly generation: number }>()

  async function reconcile(ref: Ref, context: Context): Promise<ReconcileResult | void> {
    const { object, now } = context
    const key = keyOf(ref)
    if (object === null) {
      looked.delete(key)
      return
    }
    if (isDeleting(object)) return leave(ref, object, context)
    const hasTelemetry = context.cache(Controllers).list().length <= MAX_TELEMETRY_OBJECTS
    const everyMs = hasTelemetry ? pollMs : QUIET_POLL_MS
    const last = looked.get(key)
    const generation = object.metadata.generation ?? 0
    // Our own status wakes us up, too.
    const waitMs = last?.generation === generation ? last.at + everyMs - now() : 0
    if (waitMs > 0) return { requeueAfterMs: waitMs }
    const controller = await addFinalizer(context.client, Controllers, object, FINALIZER)
    const outcome = await enrol(ref, controller, context)
    await tell(ref, controller, outcome, context, hasTelemetry)
    if (outcome.outcome === 'unavailable' && controlPlane !== null)
      throw new ControlPlaneError(outcome.detail)
    looked.set(key, { at: now(), generation })
    return { requeueAfterMs: everyMs }
  }

  async function enrol(ref: Ref, controller: Found, context: Context): Promise<Outcome> {
    if (controlPlane === null) return notConfigured
    const name = controller.spec.activationSecretName
    const secret = name === undefined ? null : await context.client.get(Secrets, { ...ref, name })
    const isSecretTaken = secret !== null && !isOwn(controller, secret)
    try {
      const declaration = declarationOf(controller, isSecretTaken ? null : secret)
      const answer = await controlPlane.declare(
        isSecretTaken ? { ...declaration, activation: null } : declaration,
        context.signal,
      )
      if (!isSecretTaken) await settleSecret(ref, controller, secret, answer, context)
      return {
        ...answer,
        isSecretTaken: isSecretTaken && answer.outcome === 'enrolled' && !answer.registered,
      }
    } catch (error) {
      return unavailable(error)
    }
  }

  async function leave(ref: Ref, controller: Found, context: Context): Promise<ReconcileResult | void> {
    if (!hasFinalizer(controller, FINALIZER)) return
    const isKnown = controller.status?.controllerId !== undefined
    if (controlPlane === null && isKnown) {
      await tell(ref, controller, notConfigured, context, true)
      return { requeueAfterMs: POLL_MS }
    }
    try {
      const unwanted = controller.spec.deletionPolicy === 'Delete'
      const became = await controlPlane?.withdraw({ ...ref, delete: unwanted }, context.signal)
      const message = became === 'kept' ? 'The controller stays in the portal.' : 'The controller is gone.'
      context.events.record(controller, { type: 'Normal', reason: 'Withdrawn', action: 'Withdraw', message })
    } catch (error) {
      await tell(ref, controller, unavailable(error), context, true)
      throw error
    }
    await removeFinalizer(context.client, Controllers, controller, FINALIZER)
  }

  return { kind: Controllers, reconcile, concurrency: 4 }
}

const notConfigured: Outcome = {
  outcome: 'unavailable',
  reason: 'ControlPlaneNotConfigured',
  detail: 'The operator does not know the API: set CONTROL_PLANE_URL and INTERNAL_TOKEN of the operator.',
}

/** The outcome for an API that is away; any other error is thrown on. */
function unavailable(error: unknown): Outcome {
  if (!(error instanceof ControlPlaneError)) throw error
  return { outcome: 'unavailable', reason: 'ControlPlaneUnavailable', detail: error.message }
}

/** Writes a token that was made just now; removes a Secret that is of no more use. */
async function settleSecret(
  ref: Ref,
  controller: Found,
  secret: Stored<Secret> | null,
  answer: Answer,
  { client }: Context,
): Promise<void> {
  const name = controller.spec.activationSecretName
  if (name === undefined || answer.outcome !== 'enrolled') return
  if (answer.activation !== null) {
    await client.apply(Secrets, activationSecret(controller, name, answer.activation))
  } else if (answer.registered && secret !== null) {
    await client.delete(Secrets, { ...ref, name }, { uid: secret.metadata.uid })
  }
}

async function tell(
  ref: Ref,
  controller: Found,
  outcome: Outcome,
  { client, events, now }: Context,
  hasTelemetry: boolean,
): Promise<void> {
  const status = statusOf(controller, outcome, now(), hasTelemetry)
  if (canonical(status) === canonical(controller.status)) return
  await client.patchStatus(Controllers, ref, status)
  for (const event of eventsOf(controller.status, status)) events.record(controller, event)
}

function isOwn(controller: Found, object: Stored): boolean {
  return controllerOf(object)?.uid === controller.metadata.uid
}
