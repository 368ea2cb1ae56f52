/** What each service account may do by the roles of a rendered chart, as sorted lines. */
import { z } from 'zod'
import type { KubeObject } from './render.ts'

const Rules = z.array(
  z.looseObject({
    apiGroups: z.array(z.string()),
    resources: z.array(z.string()),
    verbs: z.array(z.string()),
    resourceNames: z.array(z.string()).optional(),
  }),
)
const Binding = z.looseObject({
  roleRef: z.looseObject({ kind: z.string(), name: z.string() }),
  subjects: z.array(z.looseObject({ kind: z.string(), name: z.string() })),
})

/**
 * `account in namespace: group/resource verb,verb`; `in *` is the cluster. A binding whose role is not rendered throws:
 * it would give rights that nobody here can see.
 */
export function rightsOf(objects: readonly KubeObject[]): string[] {
  const lines = objects
    .filter(({ kind }) => kind === 'RoleBinding' || kind === 'ClusterRoleBinding')
    .flatMap((binding) => {
      const { roleRef, subjects } = Binding.parse(binding)
      const { namespace } = binding.metadata
      const role = objects.find(
        ({ kind, metadata }) =>
          kind === roleRef.kind &&
          metadata.name === roleRef.name &&
          (kind === 'ClusterRole' || metadata.namespace === namespace),
      )
      if (!role) throw new Error(`${binding.metadata.name} binds ${roleRef.name}, which is not there`)
      const place = binding.kind === 'RoleBinding' ? namespace : '*'
      return subjects.flatMap((subject) =>
        linesOf(role).map((line) => `${subject.name} in ${place}: ${line}`),
      )
    })
  return [...new Set(lines)].toSorted()
}

function linesOf(role: KubeObject): string[] {
  return Rules.parse(role['rules']).flatMap(({ apiGroups, resources, verbs, resourceNames }) =>
    apiGroups.flatMap((group) =>
      resources.map((resource) => {
        const names = resourceNames ? ` [${resourceNames.join(',')}]` : ''
        return `${group || 'core'}/${resource}${names} ${verbs.toSorted().join(',')}`
      }),
    ),
  )
}
