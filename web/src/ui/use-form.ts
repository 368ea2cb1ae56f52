/** A form checked by the contract's own schema before it leaves, with each error beside its field. */
import { ApiError } from '@wmoc/api/client'
import { nextTick, reactive, ref, shallowRef } from 'vue'
import type { z } from 'zod'
import { useI18n } from '#src/i18n/use-i18n.ts'
import { useErrorText } from './use-error-text.ts'

export interface FormOptions<S extends z.ZodType, V extends object> {
  readonly schema: S
  readonly initial: V
  /** Rejects with what the server said. */
  readonly send: (body: z.output<S>) => Promise<unknown>
  /** What the schema is given, where that is not the values themselves. */
  readonly toBody?: (values: V) => unknown
}

export function useForm<S extends z.ZodType, V extends object>(options: FormOptions<S, V>) {
  const { t, te } = useI18n()
  const errorText = useErrorText()
  const values = reactive({ ...options.initial }) as V
  const errors = shallowRef<Partial<Record<string, string>>>({})
  const failure = ref('')
  const isPending = ref(false)

  const fieldText = (name: string) => t(te(`invalid.${name}`) ? `invalid.${name}` : 'invalid.value')

  function show(names: readonly string[]): void {
    errors.value = Object.fromEntries(names.map((name) => [name, fieldText(name)]))
    void nextTick(() => document.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus())
  }

  function fail(error: unknown): void {
    const fields = error instanceof ApiError ? (error.problem.fields ?? []) : []
    const names = fields.map((field) => field.path.replace(/^body\./, '').split('.')[0] ?? '')
    if (names.some((name) => name in values)) show(names)
    else failure.value = errorText(error)
  }

  /** True when the server took it. */
  async function submit(): Promise<boolean> {
    if (isPending.value) return false
    failure.value = ''
    const parsed = options.schema.safeParse(options.toBody ? options.toBody(values) : values)
    if (!parsed.success) {
      show(parsed.error.issues.map((issue) => String(issue.path[0] ?? 'value')))
      return false
    }
    errors.value = {}
    isPending.value = true
    try {
      await options.send(parsed.data)
      return true
    } catch (error) {
      fail(error)
      return false
    } finally {
      isPending.value = false
    }
  }

  return { values, errors, failure, isPending, submit }
}
