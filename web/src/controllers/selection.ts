/** Which rows of a list are chosen, by their ids. Pure. */

/** The choice after one box was set or cleared; with `from`, all rows between that one and this follow it. */
export function choose(
  chosen: ReadonlySet<string>,
  order: readonly string[],
  change: { readonly id: string; readonly isChosen: boolean; readonly from: string | null },
): ReadonlySet<string> {
  const start = change.from === null ? -1 : order.indexOf(change.from)
  const end = order.indexOf(change.id)
  const ids = start < 0 || end < 0 ? [change.id] : order.slice(Math.min(start, end), Math.max(start, end) + 1)
  const next = new Set(chosen)
  for (const id of ids) {
    if (change.isChosen) next.add(id)
    else next.delete(id)
  }
  return next
}
