/** What only adding a controller says, loaded with its page. */
export const activateEn = {
  scan: {
    title: 'Scan the code',
    text: 'Hold the device’s QR code before the camera.',
    starting: 'The camera starts…',
    failed: 'The camera can’t be used. Type the code instead.',
    NotAllowedError: 'The camera is not allowed here. Allow it in the browser, or type the code.',
    NotFoundError: 'No camera was found. Type the code instead.',
    NotReadableError: 'The camera is in use by another program.',
    InsecureContextError: 'Browsers give the camera to https pages only. Type the code instead.',
  },
  token: {
    title: 'Give this to the device',
    text: 'Enter it on the device’s set-up page, or let the device scan the code. It works once and is shown only now.',
    qr: 'QR code with the activation token',
    address: 'Server',
    token: 'Token',
    expires: 'Runs out',
    readTitle: 'This is a token for a device',
    readText: 'It is not for this page: enter it on the set-up page of the controller.',
    other: 'Add a controller another way',
  },
}
