/** A connection for each request. */
import { measureInTurn } from '../load.ts'
import type { Scenario } from '../plan.ts'
import { notesOf, startStage } from '../stage.ts'
import { generatorNote, LOAD_HEADINGS, loadRows } from './small.ts'

export const connections: Scenario = {
  name: 'connections',
  help: 'a new connection for each request',
  async run(context) {
    const stage = await startStage(context, { withHop: false, withPeers: true })
    const subjects = [...stage.subjects, stage.floor]
    const found = await measureInTurn(context, subjects, [{ connections: 16, isNewConnection: true }])
    await stage.stop()
    return {
      title: 'New connections',
      about:
        'GET of 1,024 bytes, 16 at a time, each on a connection of its own; its handshake is part of the time.',
      headings: LOAD_HEADINGS,
      rows: loadRows(found),
      notes: [...notesOf(subjects), ...stage.notes, generatorNote(found)],
      figures: {},
    }
  },
}
