/** What ElastiCache refuses every client of a node-based cluster; what it restricts by subcommand stands with it. */
export const refusedByElastiCache = [
  'bgrewriteaof',
  'bgsave',
  'config',
  'debug',
  'failover',
  'migrate',
  'module|load',
  'module|unload',
  'psync',
  'replicaof',
  'save',
  'shutdown',
  'slaveof',
  'sync',
  'acl|setuser',
  'acl|deluser',
  'acl|load',
  'acl|save',
  'cluster|addslots',
  'cluster|addslotsrange',
  'cluster|delslots',
  'cluster|failover',
  'cluster|forget',
  'cluster|meet',
  'cluster|replicate',
  'cluster|reset',
  'cluster|setslot',
] as const

/** They reach over databases, of which a cluster has one. */
export const refusedByClusters = ['move', 'swapdb'] as const
