import ui from '@nuxt/ui/vite'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'
import headers from './headers.json' with { type: 'json' }

/** Where `vite` and `vite preview` find the API; `npm start` needs neither. */
const backend = process.env.WMOC_BACKEND_URL ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [
    vue(),
    ui({
      // Theme classes come from public/theme.js and src/shell/use-theme.ts: the kit's own way writes inline styles.
      colorMode: false,
      autoImport: false,
      dts: false,
      components: { dts: 'components.d.ts' },
      icon: { clientBundle: { scan: { globInclude: ['src/**/*.{vue,ts}'] } } },
      experimental: { componentDetection: true },
      ui: { colors: { primary: 'teal', neutral: 'slate' } },
    }),
  ],
  define: {
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_I18N_LEGACY_API__: 'false',
    __VUE_I18N_FULL_INSTALL__: 'false',
    __INTLIFY_PROD_DEVTOOLS__: 'false',
  },
  build: {
    target: 'es2022',
    // Data URIs of small files would need `font-src data:`.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    manifest: true,
    rolldownOptions: {
      output: {
        // zod and its setting in one chunk: the setting must be there before the first schema.
        codeSplitting: { groups: [{ name: 'zod', test: /node_modules\/zod\/|zod-without-eval/ }] },
      },
    },
  },
  server: { proxy: { '/api': backend, '/c/': backend } },
  preview: { headers, proxy: { '/api': backend, '/c/': backend } },
})
