import type { Blueprint } from '../plan/blueprint.ts'
import { renderFrr } from './frr.ts'
import { lineChecklist } from './line-checklist.ts'
import { renderSwanctl } from './swanctl.ts'
import { siteRouters } from './tunnels.ts'

export interface SiteFile {
  readonly name: string
  readonly text: string
}

/** What the old site needs: the configuration of each of its routers, and the checklist of a line that was asked for. */
export function siteFiles(blueprint: Blueprint): SiteFile[] {
  const routers = siteRouters(blueprint).flatMap((router) => [
    { name: `${router.name}/swanctl.conf`, text: router.tunnels.map((tunnel) => renderSwanctl(tunnel)).join('\n') },
    { name: `${router.name}/frr.conf`, text: renderFrr(router) },
  ])
  const checklist = lineChecklist(blueprint)
  return [...routers, ...(checklist ? [{ name: 'direct-connect.md', text: checklist }] : [])]
}
