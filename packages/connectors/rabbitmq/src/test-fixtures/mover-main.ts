/** A mover process for tests of this connector. */
import { serveTestMover } from '@replatform/testkit/serve-test-mover'
import { rabbitmqRoute } from '../route.ts'

await serveTestMover(rabbitmqRoute)
