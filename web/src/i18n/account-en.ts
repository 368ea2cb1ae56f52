/** What only the account page says, loaded with it. */
export const accountEn = {
  email: {
    title: 'E-mail',
    verified: 'Confirmed',
    notVerified: 'Not confirmed yet. Without it we can’t help you back into your account.',
    ask: 'Send the mail again',
    sent: 'The mail is on its way',
  },
  password: {
    title: 'Password',
    text: 'Every other place where you are signed in is signed out.',
    action: 'Change the password',
    done: 'The password was changed',
  },
  plan: {
    title: 'Plan',
    used: '{count} of {limit} controllers',
    retention: 'Metrics are kept for one day | Metrics are kept for {count} days',
    requests: '{count} requests a minute',
    until: 'Paid until {date}',
  },
  profile: { title: 'Profile', languageHelp: 'Also for the mail we send you.' },
  tier: { free: 'Free', basic: 'Basic', premium: 'Premium' },
  signedIn: {
    title: 'Signed in',
    text: 'Browsers and apps that are signed in as you.',
    this: 'This one',
    unknown: 'Unknown device',
    others: 'Sign out everywhere else',
  },
}
