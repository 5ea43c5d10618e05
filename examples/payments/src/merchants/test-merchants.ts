/** A wallet, a MariaDB and the merchants' service, for the tests here. */
import type { AddressInfo } from 'node:net'
import { type MariadbServer, startMariadb } from '@replatform/testkit/mariadb-server'
import { startTestDatabase, type TestDatabase } from '../test-database.ts'
import { createLedger, startWallet, type TestWallet } from '../test-wallet.ts'
import { createMerchantTables, MerchantDatabase } from './merchant-database.ts'
import { createMerchantsServer } from './merchants-server.ts'
import { Orders } from './orders.ts'
import { type Signed, sign } from './signature.ts'
import { WalletApi } from './wallet-api.ts'

export interface MerchantStage extends AsyncDisposable {
  readonly postgresql: TestDatabase
  readonly mariadb: MariadbServer
  readonly wallet: TestWallet
  readonly ledgerUrl: string
  readonly databaseUrl: string
  readonly database: MerchantDatabase
  readonly orders: Orders
  /** Of the service. */
  readonly url: string
  ask(path: string, body: object): Promise<{ status: number; body: Record<string, unknown> }>
}

export async function startMerchantStage(): Promise<MerchantStage> {
  await using stack = new AsyncDisposableStack()
  const postgresql = stack.use(await startTestDatabase(17))
  const mariadb = stack.use(await startMariadb())
  await createLedger(postgresql, 'wallet', { accounts: 40 })
  const ledgerUrl = postgresql.url('wallet', 'wallet')
  const wallet = stack.use(await startWallet(ledgerUrl))
  await mariadb.query('CREATE DATABASE merchants')
  const databaseUrl = mariadb.url('merchants')
  await createMerchantTables(databaseUrl)
  const database = stack.adopt(new MerchantDatabase(databaseUrl), (one) => one.close())
  const walletApi = stack.use(new WalletApi(wallet.url))
  const app = stack.adopt(createMerchantsServer(database, walletApi), (one) => one.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const resources = stack.move()
  return {
    postgresql,
    mariadb,
    wallet,
    ledgerUrl,
    databaseUrl,
    database,
    orders: new Orders(database, walletApi),
    url,
    async ask(path, body) {
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
      return { status: response.status, body: JSON.parse(await response.text()) }
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

export interface Shop {
  readonly partnerCode: string
  readonly accessKey: string
  readonly secret: string
}

export async function openShop(stage: MerchantStage, walletAccount: number): Promise<Shop> {
  const partnerCode = `TEST${walletAccount}`
  const application = { partnerCode, name: 'Phở', walletAccount, bankBin: '970418', bankAccount: '6254046383' }
  const { status, body } = await stage.ask('/v1/merchants', application)
  if (status !== 201) throw new Error(`the shop was refused: ${JSON.stringify(body)}`)
  return body as unknown as Shop
}

/** A signed request; fields that are not told are empty. */
export function signed(shop: Shop, values: Signed, also: Signed = {}): object {
  const { partnerCode, accessKey, secret } = shop
  const all = { partnerCode, accessKey, ...values }
  return { ...all, ...also, signature: sign(all, secret) }
}

export function newOrder(orderId: string, amount: number, ipnUrl = ''): Signed {
  const fixed = { orderInfo: 'a bowl', redirectUrl: '', requestType: 'captureWallet', extraData: '' }
  return { ...fixed, requestId: `r-${orderId}`, orderId, amount, ipnUrl }
}
