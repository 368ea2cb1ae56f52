/** Pages as well-known firmwares make them, each on an origin of its own. */
import { openCorpus } from './corpus.ts'

openCorpus({ name: 'own origin', env: {}, viewOf: (tab) => Promise.resolve(tab) })
