/**
 * What Amazon MQ permits in the configuration of an ActiveMQ broker, from its developer guide ("Elements permitted"
 * and "Elements and their attributes permitted"). The service takes out what it does not permit and mentions it among
 * the warnings of its answer; here it is an error, since nobody reads warnings. Attributes are checked where a copied
 * configuration is likely to carry forbidden ones: on the broker itself and on its store.
 */
const elements = new Set(
  `abortSlowAckConsumerStrategy abortSlowConsumerStrategy authorizationEntry authorizationMap authorizationPlugin broker
  cachedMessageGroupMapFactory compositeQueue compositeTopic constantPendingMessageLimitStrategy discarding
  discardingDLQBrokerPlugin fileCursor fileDurableSubscriberCursor fileQueueCursor filteredDestination
  fixedCountSubscriptionRecoveryPolicy fixedSizedSubscriptionRecoveryPolicy forcePersistencyModeBrokerPlugin
  individualDeadLetterStrategy lastImageSubscriptionRecoveryPolicy messageGroupHashBucketFactory mirroredQueue
  noSubscriptionRecoveryPolicy oldestMessageEvictionStrategy oldestMessageWithLowestPriorityEvictionStrategy policyEntry
  policyMap prefetchRatePendingMessageLimitStrategy priorityDispatchPolicy priorityNetworkDispatchPolicy
  queryBasedSubscriptionRecoveryPolicy queue redeliveryPlugin redeliveryPolicy redeliveryPolicyMap
  retainedMessageSubscriptionRecoveryPolicy roundRobinDispatchPolicy sharedDeadLetterStrategy simpleDispatchPolicy
  simpleMessageGroupMapFactory statisticsBrokerPlugin storeCursor storeDurableSubscriberCursor strictOrderDispatchPolicy
  tempDestinationAuthorizationEntry tempQueue tempTopic timedSubscriptionRecoveryPolicy timeStampingBrokerPlugin topic
  uniquePropertyMessageEvictionStrategy virtualDestinationInterceptor virtualTopic vmCursor vmDurableCursor
  vmQueueCursor`.split(/\s+/),
)

/** Elements that hold others, and the three whose attributes the guide lists on a page of their own. */
const collections = new Set(
  `authorizationEntries deadLetterQueue deadLetterStrategy defaultEntry destinationInterceptors destinationPolicy destinations
  dispatchPolicy forwardTo map messageEvictionStrategy messageGroupMapFactory networkConnectors
  pendingDurableSubscriberPolicy pendingMessageLimitStrategy pendingQueuePolicy pendingSubscriberPolicy
  persistenceAdapter plugins policyEntries redeliveryPolicyEntries slowConsumerStrategy subscriptionRecoveryPolicy
  systemUsage virtualDestinations wrapped kahaDB memoryUsage networkConnector`.split(/\s+/),
)

const attributesOf: Readonly<Record<string, ReadonlySet<string>>> = {
  broker: new Set(
    `advisorySupport allowTempAutoCreationOnSend cacheTempDestinations consumerSystemUsagePortion dedicatedTaskRunner
    deleteAllMessagesOnStartup enableMessageExpirationOnActiveDurableSubs keepDurableSubsActive
    maxPurgedDestinationsPerSweep maxSchedulerRepeatAllowed monitorConnectionSplits networkConnectorStartAsync
    offlineDurableSubscriberTaskSchedule offlineDurableSubscriberTimeout persistenceThreadPriority persistent
    populateJMSXUserID producerSystemUsagePortion rejectDurableConsumers rollbackOnlyOnAsyncException
    schedulePeriodForDestinationPurge schedulerSupport splitSystemUsageForProducersConsumers taskRunnerPriority
    timeBeforePurgeTempDestinations useMirroredQueues useTempMirroredQueues useVirtualDestSubs
    useVirtualDestSubsOnCreation useVirtualTopics xmlns`.split(/\s+/),
  ),
  kahaDB: new Set(
    'concurrentStoreAndDispatchQueues cleanupOnStop journalDiskSyncInterval journalDiskSyncStrategy preallocationStrategy'.split(
      ' ',
    ),
  ),
}

/** Throws when the configuration holds what Amazon MQ would take out of it; names everything that is in the way. */
export function assertPermittedByAmazonMq(configuration: string): void {
  const forbidden = forbiddenByAmazonMq(configuration)
  if (forbidden.length > 0) throw new Error(`Amazon MQ does not permit ${forbidden.join(', ')}`)
}

/** Names of elements, and of attributes as `element@attribute`; each once. */
export function forbiddenByAmazonMq(configuration: string): string[] {
  const bare = configuration.replace(/<!--[\s\S]*?-->/g, '')
  const forbidden = [...bare.matchAll(/<([A-Za-z][\w:.-]*)((?:[^>"']|"[^"]*"|'[^']*')*)>/g)].flatMap(
    ([, element = '', attributes = '']) => forbiddenIn(element, attributes),
  )
  return [...new Set(forbidden)]
}

function forbiddenIn(element: string, attributes: string): string[] {
  if (!elements.has(element) && !collections.has(element)) return [element]
  const permitted = attributesOf[element]
  if (!permitted) return []
  return [...attributes.matchAll(/([\w:.-]+)\s*=\s*(?:"[^"]*"|'[^']*')/g)]
    .map(([, name = '']) => name)
    .filter((name) => !permitted.has(name))
    .map((name) => `${element}@${name}`)
}
