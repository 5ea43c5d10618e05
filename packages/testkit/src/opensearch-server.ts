import { externalServer } from './external-server.ts'
import { opensearchDistribution } from './opensearch-distribution.ts'
import { refuseAsOpensearchService } from './opensearch-service.ts'
import { type SearchOptions, SearchServer, startSearchServer } from './search-server.ts'

export interface OpensearchOptions extends SearchOptions {
  /** `opensearch-service`: refuses what the managed service refuses, and speaks TLS only. */
  readonly flavour?: 'plain' | 'opensearch-service'
}

/** `RIG_OPENSEARCH_URL` and `RIG_OPENSEARCH_SERVICE_URL` name servers to be used instead. */
export async function startOpensearch({
  flavour = 'plain',
  ...options
}: OpensearchOptions = {}): Promise<SearchServer> {
  const external = externalServer(flavour === 'plain' ? 'opensearch' : flavour)
  if (external) return SearchServer.external(external)
  if (flavour === 'plain') return startSearchServer(opensearchDistribution, options)
  if (options.tls === false || options.password === false) {
    throw new Error('OpenSearch Service takes neither plain connections nor strangers')
  }
  return startSearchServer(opensearchDistribution, { tls: true, ...options, refuse: refuseAsOpensearchService })
}
