/** What a camera sees: a QR code as raw video, for Chromium's fake capture. */
import { writeFileSync } from 'node:fs'
import { encode } from 'uqr'

const SIDE = 480

/** Writes YUV4MPEG2 with one black and white code in its middle. */
export function writeQrVideo(file: string, text: string): void {
  const { data, size } = encode(text, { ecc: 'M', border: 4 })
  const module = Math.floor(SIDE / size)
  const luma = Buffer.alloc(SIDE * SIDE, 255)
  for (let y = 0; y < size * module; y++) {
    for (let x = 0; x < size * module; x++) {
      if (data[Math.floor(y / module)]?.[Math.floor(x / module)]) luma[y * SIDE + x] = 0
    }
  }
  const grey = Buffer.alloc((SIDE * SIDE) / 2, 128)
  const frame = Buffer.concat([Buffer.from('FRAME\n'), luma, grey])
  const head = Buffer.from(`YUV4MPEG2 W${SIDE} H${SIDE} F5:1 Ip A1:1 C420jpeg\n`)
  writeFileSync(file, Buffer.concat([head, frame, frame, frame]))
}

/** Flags that make `file` the one camera, allowed without asking. */
export function cameraFlags(file: string): string[] {
  return [
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    `--use-file-for-fake-video-capture=${file}`,
  ]
}
