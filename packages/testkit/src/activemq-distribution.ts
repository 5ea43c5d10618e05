import { chmod, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { fetchMavenArtifacts } from './maven-artifacts.ts'

const version = '5.18.6'
const spring = '5.3.39'
const jackson = '2.17.2'
const log4j = '2.23.1'

/** The broker's own parts, with what each needs and nothing more: the packed distribution was published up to 5.18.3. */
const jars = [
  ...['broker', 'client', 'openwire-legacy', 'kahadb-store', 'amqp', 'stomp', 'spring', 'jaas'].map(
    (name) => `org.apache.activemq:activemq-${name}:${version}`,
  ),
  // What starts a broker from its file; like the distribution it was not published later, and it is only that.
  'org.apache.activemq:activemq-console:5.18.3',
  'org.apache.activemq.protobuf:activemq-protobuf:1.1',
  'org.apache.qpid:proton-j:0.34.1',
  'org.fusesource.hawtbuf:hawtbuf:1.11',
  'jakarta.jms:jakarta.jms-api:2.0.3',
  'javax.annotation:javax.annotation-api:1.3.2',
  'org.jasypt:jasypt:1.9.3',
  'org.apache.xbean:xbean-spring:4.25',
  ...['context', 'aop', 'beans', 'core', 'jcl', 'expression'].map(
    (name) => `org.springframework:spring-${name}:${spring}`,
  ),
  ...['databind', 'annotations', 'core'].map((name) => `com.fasterxml.jackson.core:jackson-${name}:${jackson}`),
  'org.slf4j:slf4j-api:2.0.13',
  ...['slf4j2-impl', 'api', 'core'].map((name) => `org.apache.logging.log4j:log4j-${name}:${log4j}`),
]

const jolokia = [
  'org.jolokia:jolokia-jvm:1.7.2',
  'org.jolokia:jolokia-core:1.7.2',
  'com.googlecode.json-simple:json-simple:1.1.1',
]

export interface ActivemqFiles {
  readonly classpath: string
  /** Answers JMX over HTTP from inside the broker's Java. */
  readonly agent: string
}

/** Fetched once on this machine. */
export async function activemqFiles(): Promise<ActivemqFiles> {
  const folder = await cached(`activemq-${version}`, async (fresh) => {
    const fetched = `${fresh}.fetched`
    await mkdir(fetched)
    await fetchMavenArtifacts(fetched, { jars: [...jars, ...jolokia] })
    await rename(join(fetched, 'jars'), fresh)
    // The broker runs as somebody else.
    await chmod(fresh, 0o755)
    await rm(fetched, { recursive: true })
  })
  return { classpath: `${folder}/*`, agent: join(folder, 'jolokia-jvm-1.7.2.jar') }
}
