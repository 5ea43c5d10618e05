import type { Connection, EventContext, Message } from 'rhea'
import { answerOf } from './answer.ts'

/** The broker shows no more than this of a queue (`maxBrowsePageSize`). */
const shownMost = 400

/**
 * Copies of what is in a queue, in its order, also what is on its way to consumers. Creates the queue. Throws
 * `activemq.no-answer`.
 */
export async function browse(connection: Connection, queue: string): Promise<Message[]> {
  const messages: Message[] = []
  const receiver = connection.open_receiver({
    source: { address: `queue://${queue}`, distribution_mode: 'copy' },
    credit_window: 0,
  })
  receiver.on('message', ({ message }: EventContext) => message && messages.push(message))
  receiver.on('receiver_open', () => {
    receiver.add_credit(shownMost)
    receiver.drain_credit()
  })
  try {
    await answerOf(receiver, 'receiver_drained', { what: `looking through ${queue}` })
    return messages
  } finally {
    receiver.close()
  }
}
