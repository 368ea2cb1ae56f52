/** What only the page of notifications says, loaded with it. */
export const notificationsEn = {
  noticeType: {
    controller_claimed: 'A controller was added',
    controller_online: 'A controller is online again',
    controller_offline: 'A controller went offline',
    controller_auth_failed: 'A wrong secret was used',
    command_failed: 'A command failed',
    alert_firing: 'The platform raised an alert',
    alert_resolved: 'An alert of the platform is over',
  },
  prefs: {
    title: 'By e-mail',
    text: 'What is also sent to {email}.',
    which: 'Send me',
    quiet: 'Quiet hours',
    quietText: 'What comes meanwhile is sent after them in one mail.',
    from: 'From',
    to: 'To',
    zone: 'Time zone: {zone}',
    test: 'Send a test',
    testSent: 'A test is on its way to {email}',
  },
}
