import type { FastifyInstance } from 'fastify'
import { createServiceApp } from '../service-app.ts'
import type { SearchStore } from './search-store.ts'

const account = { type: 'string', pattern: '^[1-9][0-9]{0,14}$' }

export function createSearchServer(store: SearchStore): FastifyInstance {
  const app = createServiceApp({ name: 'search', ready: () => store.ping() })
  const transactions = { type: 'object', required: ['account'], properties: { account } }
  app.get<{ Querystring: { account: string } }>(
    '/v1/transactions',
    { schema: { querystring: transactions } },
    async (request) => {
      const found = await store.transactionsOf(Number(request.query.account), 50)
      return { transactions: found.map(({ _id, _source }) => ({ transfer: _id, ...(_source as object) })) }
    },
  )
  const reference = { type: 'string', pattern: '^[!-~]{1,200}$' }
  const byReference = { type: 'object', properties: { reference } }
  app.get<{ Params: { reference: string } }>(
    '/v1/transactions/:reference',
    { schema: { params: byReference } },
    async (request, reply) => {
      const found = await store.transactionBy(request.params.reference)
      if (!found) return await reply.code(404).send({ error: 'unknown-transaction' })
      return { transfer: found._id, ...(found._source as object) }
    },
  )
  const name = { type: 'string', minLength: 1, maxLength: 100 }
  const merchants = { type: 'object', required: ['name'], properties: { name } }
  app.get<{ Querystring: { name: string } }>(
    '/v1/merchants',
    { schema: { querystring: merchants } },
    async (request) => {
      return { merchants: (await store.merchantsNamed(request.query.name)).map(({ _source }) => _source) }
    },
  )
  return app
}
