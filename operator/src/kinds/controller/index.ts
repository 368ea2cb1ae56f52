/** The kind Controller. */
import type { Kind } from '#src/runtime/kind.ts'
import { createControlPlane } from './control-plane.ts'
import { createControllerController } from './reconcile.ts'
import { crd } from './schema.ts'

/** @param options `pollMs`: how often the API is asked about each object, and its status is written at most. */
export function controllerKind(options: { readonly pollMs?: number } = {}): Kind {
  return {
    crd,
    createController({ config: { CONTROL_PLANE_URL: url, INTERNAL_TOKEN: token } }) {
      return createControllerController(
        url && token ? createControlPlane({ url, token }) : null,
        options.pollMs,
      )
    },
  }
}

export const controller = controllerKind()
