import { createHmac } from 'node:crypto'
import type { NotifyEntry } from '@replatform/core/estate'
import nodemailer from 'nodemailer'
import type { Notification } from './notifications.ts'

type Resolve = (reference: string) => string

const answerWithinMs = 10_000

/** Delivers once. What it throws names neither address nor secret, since it is kept in the queue and logged. */
export async function deliver(target: NotifyEntry, notification: Notification, resolve: Resolve): Promise<void> {
  switch (target.kind) {
    case 'webhook':
      return post(target, JSON.stringify(notification), resolve, (body) =>
        signatureOf(notification, body, resolve(target.secret ?? '')),
      )
    case 'slack':
      return post(target, JSON.stringify({ text: plainText(notification) }), resolve)
    case 'email':
      return mail(target, notification, resolve)
  }
}

/**
 * The receiver makes the same HMAC-SHA-256 over `timestamp.body` and refuses an old timestamp; it knows a delivery that
 * comes again by its id.
 */
function signatureOf({ id }: Notification, body: string, secret: string): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1_000))
  const hmac = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')
  return {
    'x-replatform-delivery': id,
    'x-replatform-timestamp': timestamp,
    'x-replatform-signature': `sha256=${hmac}`,
  }
}

async function post(
  { kind, url }: NotifyEntry,
  body: string,
  resolve: Resolve,
  sign: (body: string) => Record<string, string> = () => ({}),
): Promise<void> {
  const headers = { 'content-type': 'application/json', ...sign(body) }
  const signal = AbortSignal.timeout(answerWithinMs)
  const response = await fetch(resolve(url), { method: 'POST', headers, body, signal, redirect: 'error' }).catch(() => {
    throw new Error(`The ${kind} ${url} does not answer.`)
  })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`The ${kind} ${url} answered with status ${response.status}.`)
}

async function mail({ url, to, from }: NotifyEntry, notification: Notification, resolve: Resolve): Promise<void> {
  const address = new URL(resolve(url))
  const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(address.hostname)
  const transport = nodemailer.createTransport({
    host: address.hostname.replace(/^\[(.+)\]$/, '$1'),
    port: Number(address.port || (address.protocol === 'smtps:' ? 465 : 587)),
    secure: address.protocol === 'smtps:',
    // A password does not cross a network in the clear.
    requireTLS: address.username !== '' && !isLocal,
    ...(address.username === '' ? {} : { auth: credentialsOf(address) }),
    connectionTimeout: answerWithinMs,
    greetingTimeout: answerWithinMs,
    socketTimeout: answerWithinMs,
  })
  try {
    const { estate, title } = notification
    await transport.sendMail({
      from,
      to: [...(to ?? [])],
      subject: `[${estate}] ${title}`,
      text: plainText(notification),
    })
  } catch (thrown) {
    throw new Error(`The mail server ${url} refused (${(thrown as NodeJS.ErrnoException).code ?? 'no code'}).`)
  } finally {
    transport.close()
  }
}

function credentialsOf({ username, password }: URL): { user: string; pass: string } {
  return { user: decodeURIComponent(username), pass: decodeURIComponent(password) }
}

function plainText({ estate, title, detail, at }: Notification): string {
  return [`${estate}: ${title}`, detail, at].filter((line) => line !== '').join('\n')
}
