/** What only a controller's own pages say, loaded with them. */
export const controllerEn = {
  logs: {
    search: 'Search in messages',
    level: 'Level',
    pause: 'Pause',
    resume: 'Go on | Go on (1 new) | Go on ({count} new)',
    download: 'Download these lines',
    older: 'Show older lines',
    toEnd: 'To the newest',
    emptyTitle: 'No log lines yet',
    emptyText: 'Lines show here the moment the controller sends them.',
    noneTitle: 'Nothing matches',
    noneText: 'No line fits this level and text.',
  },
  settings: {
    title: 'General',
    tagsHelp: 'For searching and filtering, like “garage” or “customer:lee”.',
    tagsPlaceholder: 'Add a tag',
    metadata: 'Your notes',
    metadataHelp: 'Anything you want to remember of it: where it is, whose it is.',
    key: 'Name',
    value: 'Value',
    valueOf: 'Value of {key}',
    addRow: 'Add a note',
    dropRow: 'Remove the note {key}',
    takeTheirs: 'Load what is stored now',
  },
}
