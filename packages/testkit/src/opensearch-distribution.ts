import type { SearchDistribution } from './search-distribution.ts'

const version = '2.19.1'

export const opensearchDistribution: SearchDistribution = {
  engine: 'opensearch',
  version,
  mainClass: 'org.opensearch.bootstrap.OpenSearch',
  systemProperties: [
    'opensearch.distribution.type=zip',
    'opensearch.bundled_jdk=false',
    // Its security manager refuses the threads that Java's own factory makes.
    'java.util.concurrent.ForkJoinPool.common.threadFactory=org.opensearch.secure_sm.SecuredForkJoinWorkerThreadFactory',
  ],
  modules: [
    {
      name: 'reindex',
      className: 'index.reindex.ReindexPlugin',
      jars: [
        plugin('reindex-client'),
        `org.opensearch.client:opensearch-rest-client:${version}`,
        `org.opensearch:opensearch-ssl-config:${version}`,
        'org.apache.httpcomponents:httpclient:4.5.14',
        'org.apache.httpcomponents:httpcore:4.4.16',
        'org.apache.httpcomponents:httpasyncclient:4.1.5',
        'org.apache.httpcomponents:httpcore-nio:4.4.16',
        'commons-codec:commons-codec:1.16.1',
        'commons-logging:commons-logging:1.2',
      ],
      permissions: ['java.net.SocketPermission "*", "connect"', 'java.net.NetPermission "getProxySelector"'],
    },
    { name: 'parent-join', className: 'join.ParentJoinPlugin', jars: [plugin('parent-join-client')] },
    { name: 'percolator', className: 'percolator.PercolatorPlugin', jars: [plugin('percolator-client')] },
    { name: 'mapper-extras', className: 'index.mapper.MapperExtrasPlugin', jars: [plugin('mapper-extras-client')] },
    {
      name: 'lang-mustache',
      className: 'script.mustache.MustachePlugin',
      jars: [plugin('lang-mustache-client'), 'com.github.spullara.mustache.java:compiler:0.9.14'],
      permissions: ['java.lang.RuntimePermission "accessDeclaredMembers"'],
    },
    { name: 'rank-eval', className: 'index.rankeval.RankEvalPlugin', jars: [plugin('rank-eval-client')] },
    {
      name: 'aggs-matrix-stats',
      className: 'search.aggregations.matrix.MatrixAggregationPlugin',
      jars: [plugin('aggs-matrix-stats-client')],
    },
    {
      name: 'lang-painless',
      className: 'painless.PainlessPlugin',
      jars: [
        plugin('lang-painless'),
        plugin('opensearch-scripting-painless-spi'),
        'org.antlr:antlr4-runtime:4.13.1',
        ...['asm', 'asm-analysis', 'asm-commons', 'asm-tree', 'asm-util'].map((name) => `org.ow2.asm:${name}:9.7`),
      ],
      permissions: ['java.lang.RuntimePermission "createClassLoader"', 'java.lang.RuntimePermission "getClassLoader"'],
    },
    {
      name: 'analysis-common',
      className: 'analysis.common.CommonAnalysisPlugin',
      jars: [plugin('analysis-common')],
      extends: 'lang-painless',
    },
    {
      name: 'ingest-common',
      className: 'ingest.common.IngestCommonPlugin',
      jars: [
        plugin('ingest-common'),
        `org.opensearch:opensearch-dissect:${version}`,
        `org.opensearch:opensearch-grok:${version}`,
        'org.jruby.jcodings:jcodings:1.0.61',
        'org.jruby.joni:joni:2.2.1',
      ],
      extends: 'lang-painless',
    },
  ],
}

function plugin(name: string): string {
  return `org.opensearch.plugin:${name}:${version}`
}
