import { stringify } from 'yaml'
import { crdManifest } from '../../operator/src/crds/definition.ts'
import { KINDS } from '../../operator/src/kinds.ts'

const HEAD = '# Made by `npm run gen` from operator/src/kinds; do not edit.\n'

/** The resource definitions of the operator's kinds, one file each, for its chart. */
export const CRD_FILES: Readonly<Record<string, () => string>> = Object.fromEntries(
  KINDS.map(({ crd }) => [
    `charts/wmoc-operator/files/crds/${crd.plural}.yaml`,
    () => HEAD + stringify(crdManifest(crd), { aliasDuplicateObjects: false, lineWidth: 0 }),
  ]),
)
