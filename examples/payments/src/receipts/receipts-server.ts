import type { FastifyInstance } from 'fastify'
import { createServiceApp } from '../service-app.ts'
import type { ReceiptShare } from './receipt-share.ts'

export function createReceiptsServer(share: ReceiptShare): FastifyInstance {
  const app = createServiceApp({ name: 'receipts', ready: () => share.ping() })
  const params = { type: 'object', properties: { transfer: { type: 'string', pattern: '^[1-9][0-9]{0,17}$' } } }
  app.get<{ Params: { transfer: string } }>(
    '/v1/receipts/:transfer',
    { schema: { params } },
    async (request, reply) => {
      const text = await share.read(request.params.transfer)
      if (text === undefined) return await reply.code(404).send({ error: 'no-receipt' })
      return await reply.type('text/plain; charset=utf-8').send(text)
    },
  )
  return app
}
