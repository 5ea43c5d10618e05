/**
 * Creates the ledger: roles, database, schema, accounts and history.
 *
 *     LEDGER_ADMIN_URL=… WALLET_OWNER_PASSWORD=… WALLET_PASSWORD=… node schema-main.ts --accounts 1000 --history 300000
 *
 * `--roles-only` creates just the roles, for a server onto which the database will be moved.
 */
import { parseArgs } from 'node:util'
import { printLine, requiredVariable, runMain, wholeNumber } from './environment.ts'
import { createDatabase, createRoles, createSchema, seedLedger } from './ledger-setup.ts'

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      'database': { type: 'string', default: 'wallet' },
      'accounts': { type: 'string', default: '1000' },
      'opening': { type: 'string', default: '10000000' },
      'history': { type: 'string', default: '0' },
      'roles-only': { type: 'boolean', default: false },
    },
  })
  const adminUrl = requiredVariable('LEDGER_ADMIN_URL')
  const ownerPassword = requiredVariable('WALLET_OWNER_PASSWORD')
  await createRoles(adminUrl, { ownerPassword, walletPassword: requiredVariable('WALLET_PASSWORD') })
  if (values['roles-only']) {
    printLine({ roles: ['wallet_owner', 'wallet'] })
    return 0
  }
  await createDatabase(adminUrl, values.database)
  const ownerUrl = new URL(adminUrl)
  ownerUrl.username = 'wallet_owner'
  ownerUrl.password = encodeURIComponent(ownerPassword)
  ownerUrl.pathname = `/${encodeURIComponent(values.database)}`
  await createSchema(ownerUrl.href)
  const accounts = wholeNumber(values.accounts, '--accounts', 2)
  const opening = BigInt(wholeNumber(values.opening, '--opening'))
  const rows = await seedLedger(ownerUrl.href, {
    accounts,
    opening,
    historyRows: wholeNumber(values.history, '--history'),
  })
  printLine({ database: values.database, accounts, rows })
  return 0
})
