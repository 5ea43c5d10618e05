/**
 * Where the broker converts messages of AMQP (transformer `jms`) it turns bodies of textual content types into text
 * and back. Two kinds of text do not survive that: NUL comes back as two bytes and ends a frame of STOMP, and
 * characters beyond the basic plane (emoji) reach AMQP consumers as two surrogates of three bytes each. Serialized
 * Java objects are emptied for STOMP. Such a body keeps its bytes under `application/octet-stream`.
 */
import { textOf } from './exact-headers.ts'

const textual = /^\s*(text\/|application\/([\w.+-]*(json|xml|javascript|ecmascript|yaml|x-www-form-urlencoded)))/i
const javaObject = 'application/x-java-serialized-object'
const ascii = /^[\x21-\x7e][\x20-\x7e]*$/

export const opaqueContentType = 'application/octet-stream'

/** Whether every consumer gets the bytes back when the message says this content type. */
export function mayBeDeclared(contentType: string, body: Buffer): boolean {
  if (!ascii.test(contentType)) return false
  if (contentType.toLowerCase().startsWith(javaObject)) return false
  if (!textual.test(contentType)) return true
  const text = textOf(body)
  // Bytes that are no text are left alone.
  return text === undefined || !/[\0\u{10000}-\u{10FFFF}]/u.test(text)
}
