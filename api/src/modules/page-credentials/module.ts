import type { SecretBox } from '@wmoc/platform/secret-box'
import type { ControlPlaneInput } from '@wmoc/protocol/control-plane'
import type { AccessChecker, Handlers, Kernel, Module } from '#src/kernel/module.ts'
import { pageCredentials } from './contract.ts'
import { createPageCredentials } from './service.ts'

/** What people typed into devices' own sign-in. */
export function createPageCredentialsModule(
  kernel: Kernel,
  deps: { secrets: SecretBox; access: AccessChecker },
): Module {
  const service = createPageCredentials(kernel, deps)
  const handlers: Handlers<typeof pageCredentials> = {
    get: async ({ params }, { caller }) => ({ remembered: await service.show(caller!.userId, params.id) }),
    async forget({ params }, { caller, remoteAddress }) {
      await service.forget({ userId: caller!.userId, remoteAddress }, params.id)
      return undefined
    },
  }
  return {
    name: pageCredentials.name,
    routes: [{ contract: pageCredentials, handlers }],
    internal: {
      'page-credentials/get': (input: ControlPlaneInput<'page-credentials/get'>) => service.get(input),
      'page-credentials/put': (input: ControlPlaneInput<'page-credentials/put'>) => service.put(input),
      'page-credentials/forget': (input: ControlPlaneInput<'page-credentials/forget'>) =>
        service.refused(input),
    },
  }
}
