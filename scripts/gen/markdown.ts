/** A Markdown table. Cells are one line each; bars in them are escaped. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** A document of parts with an empty line between them, and the note that it is made. */
export function generated(title: string, from: string, parts: readonly string[]): string {
  const note = `Made by \`npm run gen\` from ${from}; do not edit.`
  return `${[`# ${title}`, note, ...parts].join('\n\n')}\n`
}
