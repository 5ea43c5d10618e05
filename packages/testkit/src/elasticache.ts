/** Commands that ElastiCache refuses every user of a cluster that it manages. */
const refused = [
  'acl|setuser',
  'acl|deluser',
  'acl|load',
  'acl|save',
  'bgrewriteaof',
  'bgsave',
  'cluster|addslots',
  'cluster|addslotsrange',
  'cluster|bumpepoch',
  'cluster|delslots',
  'cluster|delslotsrange',
  'cluster|failover',
  'cluster|flushslots',
  'cluster|forget',
  'cluster|links',
  'cluster|meet',
  'cluster|replicate',
  'cluster|reset',
  'cluster|saveconfig',
  'cluster|set-config-epoch',
  'cluster|setslot',
  'config',
  'debug',
  'failover',
  'migrate',
  'module',
  'psync',
  'replconf',
  'replicaof',
  'save',
  'shutdown',
  'slaveof',
  'sync',
]

/**
 * The part of a user's ACL rule that refuses what ElastiCache refuses. ElastiCache answers "unknown command" where
 * this answers NOPERM: it renames what it hides, and the rig still needs it for itself.
 */
export const elasticacheRule = refused.map((command) => `-${command}`).join(' ')
