/** The containers of rendered objects, whatever kind wraps their pod. */
import { TunnelGatewaySpec } from '@wmoc/operator/kinds/tunnel-gateway/schema'
import { podTemplate } from '@wmoc/operator/kinds/tunnel-gateway/pod-template'
import { z } from 'zod'
import type { KubeObject, Rendered } from './render.ts'

const EnvVar = z.looseObject({ name: z.string(), value: z.string().optional() })
const Container = z.looseObject({
  name: z.string(),
  image: z.string(),
  args: z.array(z.string()).default([]),
  env: z.array(EnvVar).default([]),
})
export type Container = z.infer<typeof Container>

const PodSpec = z.looseObject({
  initContainers: z.array(Container).default([]),
  containers: z.array(Container),
})
const Template = z.looseObject({ template: z.looseObject({ spec: PodSpec }) })

/** Empty for what has no pods. */
export function containersOf({ kind, spec }: KubeObject): Container[] {
  const pod = podSpecOf(kind, spec)
  return pod === null ? [] : [...pod.initContainers, ...pod.containers]
}

/** What the operator will make of a TunnelGateway, one pod each; other objects as they are. */
export function withShards(objects: readonly KubeObject[]): KubeObject[] {
  return objects.flatMap((object) => {
    if (object.kind !== 'TunnelGateway') return [object]
    const { name, namespace } = object.metadata
    const { metadata, spec } = podTemplate(name, TunnelGatewaySpec.parse(object['spec']), undefined)
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata, name: `${name}-0`, namespace },
      spec,
    }
    return [object, pod]
  })
}

function podSpecOf(kind: string, spec: unknown): z.infer<typeof PodSpec> | null {
  switch (kind) {
    case 'Pod':
      return PodSpec.parse(spec)
    case 'Deployment':
    case 'StatefulSet':
    case 'Job':
      return Template.parse(spec).template.spec
    case 'CronJob':
      return Template.parse(
        z.looseObject({ jobTemplate: z.looseObject({ spec: z.unknown() }) }).parse(spec).jobTemplate.spec,
      ).template.spec
    default:
      return null
  }
}

/** What a container is called in a message. */
export function placeOf(rendered: Rendered, object: KubeObject, container: Container): string {
  return `${rendered.name} ${object.kind}/${object.metadata.name} ${container.name}`
}
