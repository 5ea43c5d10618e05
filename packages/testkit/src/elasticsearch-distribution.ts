import type { SearchDistribution } from './search-distribution.ts'

const version = '7.10.2'

/** The last Apache-licensed Elasticsearch. Painless and the basic analyzers come from a rebuild: Elastic published none. */
export const elasticsearchDistribution: SearchDistribution = {
  engine: 'elasticsearch',
  version,
  mainClass: 'org.elasticsearch.bootstrap.Elasticsearch',
  systemProperties: ['es.distribution.flavor=oss', 'es.distribution.type=zip', 'es.bundled_jdk=false'],
  modules: [
    {
      name: 'reindex',
      className: 'index.reindex.ReindexPlugin',
      jars: [
        plugin('reindex'),
        `org.elasticsearch.client:elasticsearch-rest-client:${version}`,
        `org.elasticsearch:elasticsearch-ssl-config:${version}`,
        'org.apache.httpcomponents:httpclient:4.5.10',
        'org.apache.httpcomponents:httpcore:4.4.12',
        'org.apache.httpcomponents:httpasyncclient:4.1.4',
        'org.apache.httpcomponents:httpcore-nio:4.4.12',
        'commons-codec:commons-codec:1.11',
        'commons-logging:commons-logging:1.1.3',
      ],
      permissions: ['java.net.SocketPermission "*", "connect"', 'java.net.NetPermission "getProxySelector"'],
    },
    { name: 'parent-join', className: 'join.ParentJoinPlugin', jars: [plugin('parent-join')] },
    { name: 'percolator', className: 'percolator.PercolatorPlugin', jars: [plugin('percolator')] },
    { name: 'mapper-extras', className: 'index.mapper.MapperExtrasPlugin', jars: [plugin('mapper-extras')] },
    {
      name: 'lang-mustache',
      className: 'script.mustache.MustachePlugin',
      jars: [plugin('lang-mustache'), 'com.github.spullara.mustache.java:compiler:0.9.6'],
      permissions: ['java.lang.RuntimePermission "accessDeclaredMembers"'],
    },
    { name: 'rank-eval', className: 'index.rankeval.RankEvalPlugin', jars: [plugin('rank-eval')] },
    {
      name: 'aggs-matrix-stats',
      className: 'search.aggregations.matrix.MatrixAggregationPlugin',
      jars: [plugin('aggs-matrix-stats')],
    },
    {
      name: 'lang-painless',
      className: 'painless.PainlessPlugin',
      jars: [
        rebuilt('lang-painless'),
        rebuilt('scripting-painless-spi'),
        'org.antlr:antlr4-runtime:4.5.3',
        ...['asm', 'asm-analysis', 'asm-commons', 'asm-tree', 'asm-util'].map((name) => `org.ow2.asm:${name}:7.2`),
      ],
      permissions: ['java.lang.RuntimePermission "createClassLoader"', 'java.lang.RuntimePermission "getClassLoader"'],
    },
    {
      name: 'analysis-common',
      className: 'analysis.common.CommonAnalysisPlugin',
      jars: [rebuilt('analysis-common')],
      extends: 'lang-painless',
    },
    {
      name: 'ingest-common',
      className: 'ingest.common.IngestCommonPlugin',
      jars: [
        rebuilt('ingest-common'),
        `org.codelibs.elasticsearch.lib:dissect:${version}`,
        `org.codelibs.elasticsearch.lib:grok:${version}`,
        'org.jruby.jcodings:jcodings:1.0.44',
        'org.jruby.joni:joni:2.1.29',
      ],
      extends: 'lang-painless',
    },
  ],
}

function plugin(name: string): string {
  return `org.elasticsearch.plugin:${name}-client:${version}`
}

function rebuilt(name: string): string {
  return `org.codelibs.elasticsearch.module:${name}:${version}`
}
