/** The broker's XML: what its owner wrote, and around it what only the rig can know. */
import type { ActivemqUser } from './activemq-server.ts'

export interface BrokerXmlParts {
  /** A `<broker>` document. */
  readonly configuration: string
  readonly dataFolder: string
  readonly users: Readonly<Record<string, ActivemqUser>>
  readonly connectors: Readonly<Record<string, string>>
  readonly keyStore: { readonly file: string; readonly password: string } | undefined
}

/** What a broker is when nobody says otherwise: priorities are kept, and every queue has its own dead letters. */
export const defaultConfiguration = `<broker xmlns="http://activemq.apache.org/schema/core" schedulerSupport="true">
  <destinationPolicy><policyMap><policyEntries>
    <policyEntry queue="&gt;" prioritizedMessages="true">
      <deadLetterStrategy>
        <individualDeadLetterStrategy queuePrefix="DLQ." useQueueForQueueMessages="true" processExpired="true"/>
      </deadLetterStrategy>
    </policyEntry>
  </policyEntries></policyMap></destinationPolicy>
</broker>`

export function brokerXml({ configuration, dataFolder, users, connectors, keyStore }: BrokerXmlParts): string {
  const { attributes, content } = openBroker(configuration)
  const plugins = /<plugins>([\s\S]*?)<\/plugins>/.exec(content)?.[1] ?? ''
  const rest = content.replace(/<plugins>[\s\S]*?<\/plugins>/, '')
  return `<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="${schemas}">
<broker xmlns="http://activemq.apache.org/schema/core" brokerName="rig" useShutdownHook="false"
  dataDirectory=${quoted(dataFolder)} ${attributes}>
  ${keyStore ? sslContext(keyStore) : ''}
  <plugins>${simpleAuthentication(users)}${plugins}</plugins>
  <managementContext><managementContext createConnector="false"/></managementContext>
  ${withStore(rest, `${dataFolder}/kahadb`)}
  ${rest.includes('<systemUsage') ? '' : systemUsage}
  <transportConnectors>
    ${Object.entries(connectors)
      .map(([name, uri]) => `<transportConnector name=${quoted(name)} uri=${quoted(uri)}/>`)
      .join('\n    ')}
  </transportConnectors>
</broker>
</beans>
`
}

/** Both lie in the jars: nothing is fetched. */
const schemas = [
  'http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans.xsd',
  'http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd',
].join(' ')

function openBroker(configuration: string): { readonly attributes: string; readonly content: string } {
  const bare = configuration.replace(/<!--[\s\S]*?-->/g, '')
  const found = /<broker\b([^>]*?)(?:\/>|>([\s\S]*)<\/broker>)/.exec(bare)
  if (!found) throw new Error('The configuration of an ActiveMQ broker is a <broker> document')
  const [, attributes = '', content = ''] = found
  return { attributes: attributes.replace(/\bxmlns(?::\w+)?="[^"]*"/g, ''), content }
}

/** The store that is configured, or one by default, in the rig's folder. */
function withStore(content: string, folder: string): string {
  if (content.includes('<kahaDB')) return content.replace('<kahaDB', `<kahaDB directory=${quoted(folder)}`)
  return `${content}<persistenceAdapter><kahaDB directory=${quoted(folder)}/></persistenceAdapter>`
}

/** The store's limit follows the free disk otherwise, and a full one would block every producer. */
const systemUsage = `<systemUsage><systemUsage>
    <memoryUsage><memoryUsage percentOfJvmHeap="70"/></memoryUsage>
    <storeUsage><storeUsage limit="4 gb"/></storeUsage>
    <tempUsage><tempUsage limit="1 gb"/></tempUsage>
  </systemUsage></systemUsage>`

function simpleAuthentication(users: BrokerXmlParts['users']): string {
  const entries = Object.entries(users).map(
    ([name, { password, groups = [] }]) =>
      `<authenticationUser username=${quoted(name)} password=${quoted(password)} groups=${quoted(groups.join(','))}/>`,
  )
  return `<simpleAuthenticationPlugin><users>${entries.join('')}</users></simpleAuthenticationPlugin>`
}

function sslContext({ file, password }: NonNullable<BrokerXmlParts['keyStore']>): string {
  return (
    `<sslContext><sslContext keyStore=${quoted(`file:${file}`)} keyStoreType="PKCS12"` +
    ` keyStorePassword=${quoted(password)}/></sslContext>`
  )
}

function quoted(text: string): string {
  const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return `"${text.replace(/[&<>"]/g, (character) => escapes[character] ?? character)}"`
}
