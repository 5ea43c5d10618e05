import { Tags } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { brokerStore } from '../constructs/broker-store.ts'
import { cacheStore } from '../constructs/cache-store.ts'
import { documentStore } from '../constructs/document-store.ts'
import { fileStore } from '../constructs/file-store.ts'
import { rehostedStore } from '../constructs/rehosted-store.ts'
import { relationalStore } from '../constructs/relational-store.ts'
import { searchStore } from '../constructs/search-store.ts'
import type { StoreContext, WatchedStore } from '../constructs/store-context.ts'
import type { PlannedStore } from '../plan/blueprint.ts'

type Build = (scope: Construct, store: PlannedStore, context: StoreContext) => WatchedStore

/** One builder for each form that a store can have. */
const builders: Readonly<Record<PlannedStore['form'], Build>> = {
  'ec2': rehostedStore,
  'rds': relationalStore,
  'documentdb': documentStore,
  'elasticache': cacheStore,
  'amazon-mq-activemq': brokerStore,
  'amazon-mq-rabbitmq': brokerStore,
  'opensearch': searchStore,
  's3': fileStore,
  'efs': fileStore,
  'fsx': fileStore,
}

/** Of what AWS Backup covers; the others keep snapshots of their own. */
const backedUp: readonly PlannedStore['form'][] = ['ec2', 'rds', 'documentdb', 's3', 'efs', 'fsx']

export function buildStore(scope: Construct, store: PlannedStore, context: StoreContext): WatchedStore {
  const watched = builders[store.form](scope, store, context)
  const built = scope.node.children.at(-1)
  if (!built) return watched
  // What an auditor asks first: which data is in there, and what it holds of cards.
  Tags.of(built).add('replatform:store', store.name)
  Tags.of(built).add('replatform:card-data', store.cardData ?? 'undeclared')
  if (backedUp.includes(store.form)) Tags.of(built).add('replatform:backup', context.blueprint.environment)
  return watched
}
