/** The vault and all that it is made of. */
import { createForms, SIGN_IN_PATH } from './forms.ts'
import { createVaultLayer } from './layer.ts'
import type { Vault } from './layer.ts'
import { createSignInPath } from './sign-in.ts'
import { createSignIns } from './sign-ins.ts'
import type { SignIns } from './sign-ins.ts'
import type { PageDeps } from '../compose.ts'
import type { OwnPath } from '../own-paths.ts'

export interface VaultParts {
  readonly layer: Vault
  readonly ownPath: readonly [path: string, handler: OwnPath]
  readonly signIns: SignIns
}

export function composeVault(deps: PageDeps): VaultParts {
  const { store, controlPlane, log, scheme, registry } = deps
  const steps = registry.counter(
    'wmoc_gateway_page_sign_ins_total',
    'Sign-ins to devices’ own pages: forms shown, names or passwords refused by the device, attempts above the limit.',
    ['step'],
  )
  const count = (step: 'asked' | 'refused' | 'limited') => () => steps.inc({ step })
  const signIns = createSignIns({ store, controlPlane, cookieKey: deps.config.PAGE_COOKIE_KEY, log })
  const forms = createForms({ store, scheme, asked: count('asked') })
  return {
    layer: createVaultLayer({ signIns, forms, refused: count('refused'), log }),
    ownPath: [SIGN_IN_PATH, createSignInPath({ signIns, forms, store, limited: count('limited') })],
    signIns,
  }
}
