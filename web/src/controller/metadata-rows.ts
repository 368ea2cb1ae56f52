/** Owner's notes as rows of a form. Pure. */

export interface MetadataRow {
  key: string
  value: string
}

type Scalar = string | number | boolean | null

/** Anything deeper than the form can show stays JSON text. */
export function rowsOf(metadata: Readonly<Record<string, unknown>>): MetadataRow[] {
  return Object.entries(metadata).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? value : JSON.stringify(value),
  }))
}

/** A value that was a number or yes/no and still reads as one stays that; the rest is text. Rows without a key go. */
export function metadataOf(rows: readonly MetadataRow[], before: Readonly<Record<string, unknown>>) {
  const named = rows.map((row) => ({ ...row, key: row.key.trim() })).filter((row) => row.key !== '')
  return Object.fromEntries(
    named.map(({ key, value }) => [
      key,
      typeof before[key] === 'string' ? value : scalarOf(value, key in before),
    ]),
  )
}

function scalarOf(value: string, hasBefore: boolean): Scalar {
  if (!hasBefore) return value
  if (value === 'true' || value === 'false') return value === 'true'
  if (value === 'null') return null
  return value.trim() !== '' && Number.isFinite(Number(value)) ? Number(value) : value
}
