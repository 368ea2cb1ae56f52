/** What the test and the supervisor inside the cluster's namespaces agree on. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface NodeSettings {
  readonly name: string
  readonly address: string
  readonly podSubnet: string
}

export interface ClusterSettings {
  readonly nodes: readonly NodeSettings[]
}

/** The control plane, DNS and the first node; the namespace has no way to the machine's own network. */
export const HUB_ADDRESS = '10.200.0.1'
export const API_PORT = 6443

/** The settings of `count` nodes: `node-1` shares the hub's network, the others have one of their own. */
export function nodeSettings(count: number): NodeSettings[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `node-${index + 1}`,
    address: `10.200.0.${index + 1}`,
    podSubnet: `10.200.${index + 1}.0/24`,
  }))
}

export function writeSettings(folder: string, settings: ClusterSettings): void {
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings))
}

export function readSettings(folder: string): ClusterSettings {
  return JSON.parse(readFileSync(join(folder, 'settings.json'), 'utf8')) as ClusterSettings
}

export const socketPath = (folder: string) => join(folder, 'cluster.sock')
/** What every node imports, in OCI layout. */
export const imagesFolder = (folder: string) => join(folder, 'images')
export const pkiFolder = (folder: string) => join(folder, 'pki')
