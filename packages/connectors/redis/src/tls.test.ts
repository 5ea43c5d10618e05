/** Goal: TLS is verified on every connection to either form of a side, and what is wrong is told as what it is. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createAuthority, rigAuthority, type ServerCertificate } from '@replatform/testkit/certificate-authority'
import { startRedis } from '@replatform/testkit/redis-server'
import { createTempFolder } from '@replatform/testkit/temp-folder'
import { expect, test } from 'vitest'
import { openConnection } from './connection.ts'
import { Following, loadMove, moverUser } from './test-fixtures/move-rig.ts'
import { SlotClient, startSlotRig } from './test-fixtures/slot-rig.ts'

async function refusalOf(url: string): Promise<{ code: string; message: string }> {
  const thrown = await openConnection({ url, side: 'source' }).then(
    () => new Error('It was let in.'),
    (error) => error,
  )
  return { code: thrown.code, message: thrown.message }
}

/** Begins with a good certificate, by which the rig sees that it is ready, and shows another from then on. */
async function refusalWith(certificate: ServerCertificate): Promise<{ code: string; message: string }> {
  await using server = await startRedis({ acl: [moverUser], tls: true })
  const [pem, key] = [join(server.folder, 'shown.pem'), join(server.folder, 'shown.key')]
  await writeFile(pem, certificate.certificate)
  await writeFile(key, certificate.key)
  await server.command('CONFIG', 'SET', 'tls-cert-file', pem, 'tls-key-file', key)
  const { file } = await rigAuthority()
  return await refusalOf(`${server.url('mover', 'mover-secret')}?ca=${file}`)
}

test('another authority, an authority that cannot be read, and a wrong user', async () => {
  await using folder = await createTempFolder('redis-tls')
  const other = join(folder.path, 'other')
  await createAuthority(other)
  await using secure = await startRedis({ acl: [moverUser, 'narrow on >narrow-secret ~* -@all +get'], tls: true })
  const url = secure.url('mover', 'mover-secret')
  expect(await refusalOf(`${url}?ca=${join(other, 'authority.pem')}`)).toMatchObject({
    code: 'tls.failed',
    message: expect.stringMatching(/authority/),
  })
  expect(await refusalOf(`${url}?ca=${join(folder.path, 'nowhere.pem')}`)).toMatchObject({
    code: 'tls.failed',
    message: expect.stringMatching(/cannot be read/),
  })
  const { file } = await rigAuthority()
  expect(await refusalOf(`${secure.url('mover', 'wrong')}?ca=${file}`)).toMatchObject({ code: 'auth.failed' })
  expect(await refusalOf(`${secure.url('narrow', 'narrow-secret')}?ca=${file}`)).toMatchObject({
    code: 'auth.missing-rights',
  })
})

test('a server that speaks no TLS is told as that', async () => {
  await using plain = await startRedis({ acl: [moverUser] })
  const url = plain.url('mover', 'mover-secret').replace('redis://', 'rediss://')
  expect(await refusalOf(url)).toMatchObject({
    code: 'tls.failed',
    message: expect.stringMatching(/does not seem to speak TLS/),
  })
})

test('a certificate for another name, and one that has expired', async () => {
  const authority = await rigAuthority()
  const named = await refusalWith(await authority.issue({ names: ['cache.example'] }))
  expect(named).toMatchObject({ code: 'tls.failed', message: expect.stringMatching(/another name/) })
  const expired = await refusalWith(await authority.issue({ expired: true }))
  expect(expired).toMatchObject({ code: 'tls.failed', message: expect.stringMatching(/expired/) })
})

test('a cluster whose every server wants TLS moves', async () => {
  await using folder = await createTempFolder('redis-tls')
  const ca = join(folder.path, 'ca.pem')
  await using rig = await startSlotRig({ source: { cluster: { tls: true } }, target: { server: { tls: true } } })
  await writeFile(ca, String(rig.source[0]?.authority))
  const urls = { source: `${rig.urls.source}?ca=${ca}`, target: `${rig.urls.target}?ca=${ca}` }
  await using app = await SlotClient.open(urls.source)
  await app.pipeline(Array.from({ length: 100 }, (_, i) => ['SET', `k:${i}`, i]))
  await using mover = rig.createMover('forward', urls)
  await loadMove(mover)
  await using following = new Following(mover)
  await app.pipeline(Array.from({ length: 100 }, (_, i) => ['INCR', `k:${i}`]))
  await app.catchUp(following)
  const { equal, results } = await mover.compare({ scope: 'all', at: 'live' })
  expect(equal).toBe(true)
  expect(results.reduce((sum, { matching }) => sum + matching, 0)).toBe(100)
})
