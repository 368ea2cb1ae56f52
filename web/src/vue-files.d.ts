/** For tools that don't read `.vue` files; vue-tsc does, and then this says nothing. */
declare module '*.vue' {
  import type { Component } from 'vue'
  const component: Component
  export default component
}
