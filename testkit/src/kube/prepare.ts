/**
 * Provides what the tests on Kubernetes need, so that it can go on while other tests run:
 * `node prepare.ts cli control-plane … [images]`.
 */
import { buildImages, buildServiceImages, pauseImage } from './images.ts'
import { ensureTools, isKubeTools } from './tools.ts'

const names = process.argv.slice(2)
await ensureTools(...names.filter(isKubeTools))
if (names.includes('images')) {
  await pauseImage()
  await buildServiceImages()
  await buildImages()
}
