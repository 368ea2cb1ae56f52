/** Which of the forms `one | few | many` or `zero | one | few | many` a Russian number takes. */
export function pluralRu(choice: number, choices: number): number {
  const number = Math.abs(choice)
  const shift = choices > 3 ? 1 : 0
  if (shift === 1 && number === 0) return 0
  const teens = number % 100 > 10 && number % 100 < 20
  if (!teens && number % 10 === 1) return shift
  if (!teens && number % 10 >= 2 && number % 10 <= 4) return 1 + shift
  return Math.min(2 + shift, choices - 1)
}
