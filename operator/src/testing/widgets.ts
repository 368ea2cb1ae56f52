/** A kind of its own for the runtime's tests: a Widget wants a ConfigMap with its text. */
import type { ConfigMap } from 'kubernetes-types/core/v1.d.ts'
import { z } from 'zod'
import { crdManifest, defineCrd } from '#src/crds/definition.ts'
import { cel, conditions, describe, int32, observedGeneration } from '#src/crds/fields.ts'
import type { ReconcileContext } from '#src/runtime/controller.ts'
import { setCondition, timestamp } from '#src/runtime/conditions.ts'
import { ownerReference } from '#src/runtime/metadata.ts'
import { resource } from '#src/runtime/objects.ts'
import type { Ref, Sent } from '#src/runtime/objects.ts'
import { ConfigMaps } from '#src/runtime/resources.ts'

const spec = cel(
  z.object({
    text: describe(z.string().min(1).max(100), 'What the ConfigMap holds.'),
    copies: int32(0, 10).default(1),
  }),
  "self.text != 'forbidden'",
  'text must not be "forbidden"',
  ({ text }) => text !== 'forbidden',
)
const status = z.object({
  observedGeneration: observedGeneration(),
  text: z.string().optional(),
  conditions: conditions().optional(),
})

export const widgetCrd = defineCrd({
  group: 'test.wmoc.online',
  version: 'v1alpha1',
  kind: 'Widget',
  plural: 'widgets',
  singular: 'widget',
  shortNames: ['wdg'],
  categories: [],
  description: 'A kind for tests.',
  spec,
  status,
  columns: [{ name: 'Text', type: 'string', jsonPath: '.spec.text' }],
})

export const widgetManifest = crdManifest(widgetCrd)

export interface Widget {
  readonly spec: z.output<typeof spec>
  readonly status?: z.output<typeof status>
}

export const Widgets = resource<Widget>('test.wmoc.online/v1alpha1', 'Widget', 'widgets')

export function widget(name: string, text = 'hello', namespace = 'default'): Sent<Widget> {
  return {
    apiVersion: Widgets.apiVersion,
    kind: Widgets.kind,
    metadata: { name, namespace },
    spec: { text, copies: 1 },
  }
}

/** Makes the ConfigMap and says so. */
export async function reconcileWidget(
  ref: Ref,
  { object, client, events, now }: ReconcileContext<Widget>,
): Promise<void> {
  if (object === null) return
  const desired: Sent<ConfigMap> = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...ref, ownerReferences: [ownerReference(object)] },
    data: { text: object.spec.text },
  }
  await client.apply(ConfigMaps, desired)
  const generation = object.metadata.generation ?? 0
  const ready = {
    type: 'Ready',
    status: 'True',
    reason: 'Written',
    message: 'the ConfigMap is written',
  } as const
  await client.patchStatus(Widgets, ref, {
    observedGeneration: generation,
    text: object.spec.text,
    conditions: setCondition(object.status?.conditions, ready, timestamp(now()), generation),
  })
  events.record(object, {
    type: 'Normal',
    reason: 'Written',
    action: 'Write',
    message: `wrote ${object.spec.text}`,
  })
}
