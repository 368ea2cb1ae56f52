/** Every variable the portal's server reads from the environment; `--help` prints this table. */
import { defineConfig, port } from '@wmoc/platform/config'
import { z } from 'zod'

export const webConfig = defineConfig({
  name: 'wmoc-web',
  description: 'Hands out the portal as it was built',
  variables: {
    NODE_ENV: { schema: z.string().default('development'), description: 'production or development' },
    LOG_LEVEL: {
      schema: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
      description: 'Least level logged',
    },
    LOG_FORMAT: {
      schema: z.enum(['json', 'pretty']).optional(),
      description: 'json in production, else pretty',
    },
    HOST: { schema: z.string().default('127.0.0.1'), description: 'Address of the public listener' },
    PORT: { schema: port(8080), description: 'Port of the public listener' },
    ADMIN_HOST: { schema: z.string().default('127.0.0.1'), description: 'Address of health and metrics' },
    ADMIN_PORT: { schema: port(9084), description: 'Port of health and metrics' },
    PORTAL_DIR: {
      schema: z.string().min(1).optional(),
      description: 'Folder with the built portal; dist beside the server unless set',
    },
  },
})
