/** From the zod schemas of a kind to its CustomResourceDefinition. */
import type { z } from 'zod'
import { structuralSchema } from './structural.ts'

export interface PrinterColumn {
  readonly name: string
  readonly type: 'string' | 'integer' | 'boolean' | 'date'
  readonly jsonPath: string
  /** 1: only in `-o wide`. */
  readonly priority?: number
}

export interface CrdDefinition {
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly description: string
  readonly spec: z.ZodObject
  readonly status: z.ZodObject
  /** CEL rules about the object as a whole: `self.metadata.name`. */
  readonly rules?: readonly { readonly rule: string; readonly message: string }[]
  readonly columns: readonly PrinterColumn[]
  readonly scale?: {
    readonly specReplicasPath: string
    readonly statusReplicasPath: string
    readonly labelSelectorPath: string
  }
}

/** Says what a kind is; a namespaced one with a status. */
export function defineCrd<const D extends CrdDefinition>(definition: D): D {
  return definition
}

/** The object to send to the API server. */
export function crdManifest(definition: CrdDefinition) {
  const { group, version, kind, plural, singular, shortNames, categories, scale } = definition
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {}, ...(scale === undefined ? {} : { scale }) },
          additionalPrinterColumns: definition.columns,
          schema: {
            openAPIV3Schema: {
              description: definition.description,
              type: 'object',
              required: ['spec'],
              ...(definition.rules === undefined ? {} : { 'x-kubernetes-validations': definition.rules }),
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec: structuralSchema(definition.spec),
                // Without it a program that waits would take a new object, which says nothing yet, for ready.
                status: { ...structuralSchema(definition.status), default: { observedGeneration: -1 } },
              },
            },
          },
        },
      ],
    },
  }
}
