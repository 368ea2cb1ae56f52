/** What a controller's status says, and what is worth an Event. Pure. */
import { setCondition, timestamp } from '#src/runtime/conditions.ts'
import type { Condition, ConditionChange } from '#src/runtime/conditions.ts'
import type { EventDetails } from '#src/runtime/events.ts'
import type { Stored } from '#src/runtime/objects.ts'
import type { Answer, Enrolled, Refused } from './control-plane.ts'
import type { ControllerStatus, DeclaredController } from './schema.ts'

/** What became of an attempt to make a controller so. */
export type Outcome =
  | (Answer & { readonly isSecretTaken?: boolean })
  /** `detail` tells why the API can't be asked. */
  | { readonly outcome: 'unavailable'; readonly reason: Unavailable; readonly detail: string }
type Unavailable = 'ControlPlaneUnavailable' | 'ControlPlaneNotConfigured'

const REASONS: Readonly<Record<Refused['reason'], string>> = {
  owner_unknown: 'OwnerUnknown',
  mac_taken: 'MacTaken',
  declared_elsewhere: 'DeclaredElsewhere',
  limit_reached: 'LimitReached',
  too_many_tags: 'TooManyTags',
  removed: 'RemovedInPortal',
  invalid: 'InvalidSpec',
}
const STATES = { pending: 'Pending', online: 'Online', offline: 'Offline', suspended: 'Suspended' } as const

/**
 * Conditions and their reasons: `Ready` (Enrolled, Suspended, or why not), `Registered` (DeviceRegistered, WaitingForDevice),
 * `InSync` (AsDeclared, ChangedInPortal, PeopleUnknown), `ActivationSecret` (Written, NotNeeded, NameTaken).
 * @param hasTelemetry Whether what changes by itself is told: etcd is no store of telemetry.
 */
export function statusOf(
  controller: Stored<DeclaredController>,
  outcome: Outcome,
  nowMs: number,
  hasTelemetry: boolean,
): ControllerStatus {
  const generation = controller.metadata.generation ?? 0
  const set = (all: readonly Condition[] | undefined, change: ConditionChange) =>
    setCondition(all, change, timestamp(nowMs), generation)
  const before = controller.status
  if (outcome.outcome !== 'enrolled') {
    return { ...before, observedGeneration: generation, conditions: set(before?.conditions, ready(outcome)) }
  }
  const changes = [ready(outcome), registered(outcome), inSync(outcome), activation(controller, outcome)]
  return {
    observedGeneration: generation,
    controllerId: outcome.controllerId,
    url: outcome.url,
    ...(hasTelemetry || outcome.state === 'pending' || outcome.state === 'suspended'
      ? { state: STATES[outcome.state] }
      : {}),
    ...(hasTelemetry ? telemetryOf(outcome) : {}),
    conditions: changes.reduce<readonly Condition[] | undefined>(set, before?.conditions) ?? [],
  }
}

function telemetryOf({ firmwareVersion, shard, lastSeenAt }: Enrolled) {
  return {
    ...(firmwareVersion === null ? {} : { firmwareVersion }),
    ...(shard === null ? {} : { shard }),
    ...(lastSeenAt === null ? {} : { lastSeenTime: timestamp(lastSeenAt) }),
  }
}

function ready(outcome: Outcome): ConditionChange {
  const type = 'Ready'
  switch (outcome.outcome) {
    case 'enrolled':
      if (outcome.state === 'suspended')
        return {
          type,
          status: 'True',
          reason: 'Suspended',
          message:
            'It is cut and kept out, and keeps its secret. Set spec.suspended to false to let it in again.',
        }
      return { type, status: 'True', reason: 'Enrolled', message: 'The platform knows this controller.' }
    case 'refused':
      return { type, status: 'False', reason: REASONS[outcome.reason], message: outcome.detail }
    case 'unavailable':
      return { type, status: 'Unknown', reason: outcome.reason, message: outcome.detail }
    default:
      return outcome satisfies never
  }
}

function registered(outcome: Enrolled): ConditionChange {
  const type = 'Registered'
  return outcome.registered
    ? { type, status: 'True', reason: 'DeviceRegistered', message: 'A device has been activated as it.' }
    : {
        type,
        status: 'False',
        reason: 'WaitingForDevice',
        message: 'Give the device the token of the activation Secret, or let its owner claim it by code.',
      }
}

function inSync({ drift, unknownPeople }: Enrolled): ConditionChange {
  const type = 'InSync'
  if (unknownPeople.length > 0) {
    const message = `Nobody has an account under ${unknownPeople.join(', ')}: it is shared with the others of sharedWith.`
    return { type, status: 'False', reason: 'PeopleUnknown', message }
  }
  if (drift.length === 0)
    return { type, status: 'True', reason: 'AsDeclared', message: 'The portal says what this object says.' }
  const changed = drift.map(({ field, actual }) => `${field} is "${actual}"`).join(', ')
  const message = `In the portal ${changed}. That stays; a change of the field here is applied again.`
  return { type, status: 'False', reason: 'ChangedInPortal', message }
}

function activation(
  { spec }: Stored<DeclaredController>,
  outcome: Enrolled & { readonly isSecretTaken?: boolean },
): ConditionChange {
  const type = 'ActivationSecret'
  const name = spec.activationSecretName
  if (outcome.isSecretTaken === true) {
    const message = `The Secret ${name} belongs to somebody else: name another, or delete that one.`
    return { type, status: 'False', reason: 'NameTaken', message }
  }
  return name === undefined || outcome.registered
    ? { type, status: 'True', reason: 'NotNeeded', message: 'No token is waiting.' }
    : { type, status: 'True', reason: 'Written', message: `The Secret ${name} holds a token that works.` }
}

/** Events for what the new status says and the old one did not. */
export function eventsOf(before: ControllerStatus | undefined, after: ControllerStatus): EventDetails[] {
  const find = (status: ControllerStatus | undefined, type: string) =>
    status?.conditions?.find((condition) => condition.type === type)
  const isNews = (type: string) => {
    const [then, now] = [find(before, type), find(after, type)]
    return now?.status !== then?.status || now?.reason !== then?.reason ? now : undefined
  }
  const events: EventDetails[] = []
  const tell = (type: EventDetails['type'], action: string, { reason, message }: Condition) =>
    events.push({ type, action, reason, message })
  const isReady = isNews('Ready')
  if (isReady) tell(isReady.status === 'True' ? 'Normal' : 'Warning', 'Enrol', isReady)
  const isRegistered = isNews('Registered')
  if (isRegistered?.status === 'True') tell('Normal', 'Register', isRegistered)
  const isInSync = isNews('InSync')
  if (isInSync?.status === 'False') tell('Warning', 'Enrol', isInSync)
  const hasSecret = isNews('ActivationSecret')
  if (hasSecret?.status === 'False') tell('Warning', 'Activate', hasSecret)
  return events
}
