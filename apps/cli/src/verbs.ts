import type { Verb } from './verb.ts'
import { audit } from './verbs/audit.ts'
import { doctor } from './verbs/doctor.ts'
import { grants } from './verbs/grants.ts'
import { infra } from './verbs/infra.ts'
import { assess, cancel, compare, cutover, finalize, pause, resume, rollback } from './verbs/operations.ts'
import { plan } from './verbs/plan.ts'
import { runbook } from './verbs/runbook.ts'
import { serve } from './verbs/serve.ts'
import { start } from './verbs/start.ts'
import { status } from './verbs/status.ts'
import { throttle } from './verbs/throttle.ts'
import { topology } from './verbs/topology.ts'
import { approve, incident, rehearse } from './verbs/waves.ts'
import { worker } from './verbs/worker.ts'

/** In the order in which a move meets them. */
export const verbs: readonly Verb[] = [
  doctor,
  grants,
  assess,
  topology,
  plan,
  infra,
  start,
  status,
  compare,
  rehearse,
  approve,
  runbook,
  cutover,
  rollback,
  finalize,
  pause,
  resume,
  cancel,
  throttle,
  incident,
  worker,
  serve,
  audit,
]
