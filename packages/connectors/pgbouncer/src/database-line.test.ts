import { expect, test } from 'vitest'
import { pointDatabase, readDatabase } from './database-line.ts'

const place = { host: 'db.new.example', port: 6000, dbname: 'ledger' }

test('only host, port and dbname of the one line change', () => {
  const before = [
    '; ledger = host=commented port=1',
    '[databases]',
    '# the ledger, see runbook 7',
    '  ledger = host=10.0.0.1 pool_size=30 port=5432 dbname=ledger connect_query=\'SELECT "host=x"\'  ',
    'ledger_reports = host=10.0.0.1 port=5432 dbname=ledger',
    '',
    '[pgbouncer]',
    'ledger = host=not-a-database',
    'pool_mode = transaction',
  ].join('\n')
  const after = pointDatabase(before, 'ledger', place)
  const changed = after.split('\n').filter((line, index) => line !== before.split('\n')[index])
  expect(changed).toEqual([
    '  ledger = host=db.new.example pool_size=30 port=6000 dbname=ledger connect_query=\'SELECT "host=x"\'  ',
  ])
  expect(readDatabase(after, 'ledger')).toEqual([place])
})

test('keys that were left to their defaults are written out', () => {
  expect(pointDatabase('[databases]\nledger = host=/run\n', 'ledger', place)).toBe(
    '[databases]\nledger = host=db.new.example port=6000 dbname=ledger\n',
  )
  expect(pointDatabase('[databases]\nledger =\n', 'ledger', place)).toBe(
    '[databases]\nledger =host=db.new.example port=6000 dbname=ledger\n',
  )
})

test('quoted names and values, spaces around equals signs and CRLF are understood', () => {
  const file = '[databases]\r\n"my ""ledger""" = host = old.example dbname=\'it\'\'s here\'\r\nx = host=y\r\n'
  expect(readDatabase(file, 'my "ledger"')).toEqual([{ host: 'old.example', port: undefined, dbname: "it's here" }])
  const pointed = pointDatabase(file, 'my "ledger"', { ...place, dbname: "it's there" })
  expect(pointed).toBe(
    '[databases]\r\n"my ""ledger""" = host=db.new.example dbname=\'it\'\'s there\' port=6000\r\nx = host=y\r\n',
  )
})

test('a fragment without a section is read; a name that is a prefix, and the fallback, are not taken for the name', () => {
  expect(readDatabase('ledger = host=a port=1 dbname=b', 'ledger')).toEqual([{ host: 'a', port: 1, dbname: 'b' }])
  expect(readDatabase('[databases]\nledger2 = host=a\n* = host=b\n', 'ledger')).toEqual([])
  expect(readDatabase('[databases]\nledger = host=a\nledger = host=b\n', 'ledger')).toHaveLength(2)
})
