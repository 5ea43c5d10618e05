/** What `npm run rig` can start. Apart from their starters, which load every driver there is. */
export const rigMemberNames = [
  'postgresql-13',
  'postgresql-17',
  'mariadb',
  'redis',
  'mongodb',
  'rabbitmq',
  'activemq',
  'elasticsearch',
  'opensearch',
  'aws',
  'pgbouncer',
  'haproxy',
] as const

export type RigMemberName = (typeof rigMemberNames)[number]

export function isRigMemberName(name: string): name is RigMemberName {
  return (rigMemberNames as readonly string[]).includes(name)
}
