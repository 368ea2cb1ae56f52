/** Pages as well-known firmwares make them, where the installation has one host name: in the portal's frame. */
import { deviceFrame, ONE_HOST } from '../support/browser.ts'
import { openCorpus } from './corpus.ts'

openCorpus({ name: 'frame', env: ONE_HOST, viewOf: deviceFrame })
