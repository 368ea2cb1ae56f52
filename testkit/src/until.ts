/** Asks until the answer is yes; `timeoutMs` is as long as a very busy machine may take. */
export async function until(
  test: () => boolean | Promise<boolean>,
  timeoutMs = 120_000,
  everyMs = 10,
): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!(await test())) {
    if (performance.now() > end) throw new Error(`did not come true in ${timeoutMs} ms: ${test.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
