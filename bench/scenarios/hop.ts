/** What it costs that a request arrives at another shard than the one with the tunnel. */
import { measureInTurn } from '../load.ts'
import type { Scenario } from '../plan.ts'
import { notesOf, startStage } from '../stage.ts'
import { DIALECTS } from '../subjects/wmoc.ts'
import { generatorNote, LOAD_HEADINGS, loadRows } from './small.ts'

export const hop: Scenario = {
  name: 'hop',
  help: 'the same request asked at the shard that does not hold the tunnel',
  async run(context) {
    const stage = await startStage(context, { withHop: true, withPeers: false })
    const found = await measureInTurn(context, stage.subjects, [{ connections: 64 }])
    await stage.stop()
    const cpu = (name: string) => found.find(({ subject }) => subject === name)!.cpuPerRequestUs!
    const ratios = DIALECTS.map((dialect) => cpu(`WMOC ${dialect}, hop`) / cpu(`WMOC ${dialect}`))
    return {
      title: 'Hop between shards',
      about:
        'GET of 1,024 bytes at 64 connections; CPU of a hop is that of both shards together. ' +
        `Hop to local: ${DIALECTS.map((dialect, index) => `${dialect} ${ratios[index]!.toFixed(2)} ×`).join(', ')}.`,
      headings: LOAD_HEADINGS,
      rows: loadRows(found),
      notes: [...notesOf(stage.subjects), generatorNote(found)],
      figures: { hopRatio: ratios[DIALECTS.indexOf('v2')]! },
    }
  },
}
