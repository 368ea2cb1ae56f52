/** What guests ask of the API. */
import { sharing } from '@wmoc/api/contracts/sharing'
import { createClient } from '@wmoc/api/client'

export const guestApi = createClient({ sharing })
