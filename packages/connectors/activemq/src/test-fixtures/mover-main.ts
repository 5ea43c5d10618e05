/** A mover process for tests of this connector. */
import { serveTestMover } from '@replatform/testkit/serve-test-mover'
import { activemqRoute } from '../route.ts'

await serveTestMover(activemqRoute)
