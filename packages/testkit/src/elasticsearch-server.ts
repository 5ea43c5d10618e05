import { elasticsearchDistribution } from './elasticsearch-distribution.ts'
import { externalServer } from './external-server.ts'
import { type SearchOptions, SearchServer, startSearchServer } from './search-server.ts'

/** `RIG_ELASTICSEARCH_URL` names a server to be used instead. */
export async function startElasticsearch(options: SearchOptions = {}): Promise<SearchServer> {
  const external = externalServer('elasticsearch')
  return external ? SearchServer.external(external) : startSearchServer(elasticsearchDistribution, options)
}
