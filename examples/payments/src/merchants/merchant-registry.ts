import { randomBytes } from 'node:crypto'
import type { MerchantDatabase } from './merchant-database.ts'

export interface Merchant {
  readonly id: number
  readonly partnerCode: string
  readonly bankBin: string
  readonly bankAccount: string
}

export interface MerchantKey extends Merchant {
  readonly accessKey: string
  readonly secret: string
}

export interface Application {
  readonly partnerCode: string
  readonly name: string
  /** Where the wallet pays what they sell. */
  readonly walletAccount: number
  readonly bankBin: string
  readonly bankAccount: string
}

const columns = `
  SELECT m.id, m.partner_code AS partnerCode, m.bank_bin AS bankBin, m.bank_account AS bankAccount,
         k.access_key AS accessKey, k.secret
    FROM merchants m JOIN api_keys k ON k.merchant_id = m.id`

/** Who may sell, and with which keys. */
export class MerchantRegistry {
  readonly #database: MerchantDatabase

  constructor(database: MerchantDatabase) {
    this.#database = database
  }

  /** Repeated with the same partner code it returns the same keys. */
  async onboard(application: Application): Promise<MerchantKey> {
    const { partnerCode, name, walletAccount, bankBin, bankAccount } = application
    return await this.#database.transaction(async (run) => {
      const { id, changed } = await run.change(
        `INSERT IGNORE INTO merchants (partner_code, name, wallet_account, bank_bin, bank_account)
         VALUES (?, ?, ?, ?, ?)`,
        [partnerCode, name, walletAccount, bankBin, bankAccount],
      )
      if (changed === 1) {
        const values = [randomBytes(8).toString('hex'), id, randomBytes(24).toString('hex')]
        await run.change('INSERT INTO api_keys (access_key, merchant_id, secret) VALUES (?, ?, ?)', values)
      }
      const [merchant] = await run.rows<MerchantKey>(`${columns} WHERE m.partner_code = ?`, [partnerCode])
      if (merchant === undefined) throw new Error('a merchant without keys')
      return merchant
    })
  }

  async byAccessKey(partnerCode: string, accessKey: string): Promise<MerchantKey | undefined> {
    const sql = `${columns} WHERE m.partner_code = ? AND k.access_key = ?`
    return (await this.#database.rows<MerchantKey>(sql, [partnerCode, accessKey]))[0]
  }
}
