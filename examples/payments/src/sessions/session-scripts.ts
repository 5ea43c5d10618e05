/**
 * What happens at once or not at all. Each script repeats its answer when it is asked again, so that a client whose
 * connection dropped may retry; deadlines are instants (PEXPIREAT), so that a retry or a copy does not prolong them.
 */
import { type CommandParser, defineScript } from '@redis/client'

/** KEYS: code, rate. ARGV: id, proof, deadline, now, window in ms, how many the window lets through. */
const issueCode = `
  local deadline = redis.call('HGET', KEYS[1], 'deadline')
  if deadline then return {'again', deadline} end
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[4] - ARGV[5])
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then return {'too-many'} end
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  redis.call('HSET', KEYS[1], 'proof', ARGV[2], 'state', 'open', 'wrong', 0, 'deadline', ARGV[3])
  redis.call('PEXPIREAT', KEYS[1], ARGV[3])
  return {'done', ARGV[3]}`

/**
 * KEYS: code, session, logins. ARGV: proof, wrong tries allowed, session, code, device, deadline, logins to keep.
 * A used code stays, marked, until its deadline: otherwise a late duplicate of the request that issued it would make
 * it good again.
 */
const logIn = `
  local session = redis.call('HMGET', KEYS[2], 'code', 'deadline')
  if session[2] then
    if session[1] == ARGV[4] then return {'again', session[2]} end
    return {'session-exists'}
  end
  local code = redis.call('HMGET', KEYS[1], 'proof', 'state')
  if code[2] ~= 'open' then return {'code-is-gone'} end
  if code[1] ~= ARGV[1] then
    if redis.call('HINCRBY', KEYS[1], 'wrong', 1) >= tonumber(ARGV[2]) then
      redis.call('HSET', KEYS[1], 'state', 'spent')
    end
    return {'wrong-digits'}
  end
  redis.call('HSET', KEYS[1], 'state', 'used')
  redis.call('HSET', KEYS[2], 'code', ARGV[4], 'device', ARGV[5], 'deadline', ARGV[6])
  redis.call('PEXPIREAT', KEYS[2], ARGV[6])
  redis.call('XADD', KEYS[3], 'MAXLEN', ARGV[7], '*', 'event', 'login', 'session', ARGV[3])
  return {'done', ARGV[6]}`

/** KEYS: session, logins. ARGV: session, logins to keep. */
const logOut = `
  if redis.call('DEL', KEYS[1]) == 0 then return {'again'} end
  redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[2], '*', 'event', 'logout', 'session', ARGV[1])
  return {'done'}`

/** KEYS: answer. ARGV: answer, deadline. The first one stays. */
const remember = `
  local earlier = redis.call('GET', KEYS[1])
  if earlier then return {'again', earlier} end
  redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
  return {'done', ARGV[1]}`

export const sessionScripts = {
  issueCode: script(issueCode, 2),
  logIn: script(logIn, 3),
  logOut: script(logOut, 2),
  remember: script(remember, 1),
}

/** First what happened, then what it led to. */
type ScriptAnswer = [outcome: string, value?: string]

function script(source: string, keys: number) {
  return defineScript({
    SCRIPT: source,
    NUMBER_OF_KEYS: keys,
    parseCommand(parser: CommandParser, ...values: string[]) {
      parser.pushKeys(values.slice(0, keys))
      parser.push(...values.slice(keys))
    },
    transformReply: (reply: unknown) => reply as ScriptAnswer,
  })
}
