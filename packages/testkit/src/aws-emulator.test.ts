import { access } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { type AwsEmulator, startAwsEmulator } from './aws-emulator.ts'
import { requestJson } from './json-request.ts'

test('the emulator keeps what is created until it is reset, and leaves nothing', async () => {
  const emulator = await startAwsEmulator()
  {
    await using _ = emulator
    expect(await call(emulator, 'CreateSecret', { Name: 'wallet/database', SecretString: 'rig' })).toMatchObject({
      Name: 'wallet/database',
    })
    expect(await secretNames(emulator)).toEqual(['wallet/database'])
    await emulator.reset()
    expect(await secretNames(emulator)).toEqual([])
  }
  expect(emulator.running).toBe(false)
  await expect(access(emulator.folder)).rejects.toThrow('ENOENT')
})

test('with TLS it shows a certificate of the rig and speaks nothing else', async () => {
  await using emulator = await startAwsEmulator({ tls: true })
  expect(await secretNames(emulator)).toEqual([])
  await expect(fetch(emulator.url)).rejects.toThrow()
  await expect(fetch(emulator.url.replace('https:', 'http:'))).rejects.toThrow()
})

async function secretNames(emulator: AwsEmulator): Promise<string[]> {
  const { SecretList } = await call(emulator, 'ListSecrets', {})
  return (SecretList as { Name: string }[]).map((secret) => secret.Name)
}

/** By hand, because the SDK is not otherwise needed here: the emulator checks no signature. */
async function call(emulator: AwsEmulator, action: string, input: object): Promise<Record<string, unknown>> {
  const scope = `rig/20260101/${emulator.region}/secretsmanager/aws4_request`
  const { body } = await requestJson(emulator.url, {
    method: 'POST',
    ca: emulator.authority,
    headers: {
      'Authorization': `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=none`,
      'Content-Type': 'application/x-amz-json-1.1',
      'X-Amz-Target': `secretsmanager.${action}`,
    },
    body: input,
  })
  return body as Record<string, unknown>
}
