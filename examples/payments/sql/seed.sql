-- Seeding: books many transfers at once, with the same entries, balances and chains that the wallet would make of them
-- one by one. Kept in the ledger like any maintenance routine; the wallet has no right to run it.

create function ledger.extend_chain(p_state bytea, p_start bytea, p_transfer bigint, p_amount bigint) returns bytea
  language plpgsql immutable as $$ begin return ledger.next_link(coalesce(p_state, p_start), p_transfer, p_amount); end $$;
create aggregate ledger.chain(p_start bytea, p_transfer bigint, p_amount bigint) (
  sfunc = ledger.extend_chain, stype = bytea
);

-- Books the transfers listed in `planned` (a temporary table of the caller's), in the order of their `n`.
create procedure ledger.book_planned() language plpgsql as $$
begin
  insert into ledger.transfers (reference, kind, debit_account, credit_account, amount, metadata, created_at)
  select reference, kind, debit_account, credit_account, amount, '{"seeded": true}', created_at from planned order by n;

  -- One check of the whole follows below instead of one per row.
  alter table ledger.entries disable trigger entries_balance;
  with legs as (
    select t.id, t.created_at, t.debit_account as account, -t.amount as amount
      from planned p join ledger.transfers t using (reference)
    union all
    select t.id, t.created_at, t.credit_account, t.amount from planned p join ledger.transfers t using (reference)
  )
  insert into ledger.entries (account_id, seq, transfer_id, amount, balance_after, chain, created_at)
  select account, a.entry_count + row_number() over w, l.id, amount, a.balance + sum(amount) over w,
         ledger.chain(a.chain, l.id, amount) over w, l.created_at
    from legs l join ledger.accounts a on a.id = l.account
  window w as (partition by account order by l.id rows unbounded preceding)
   order by l.id;
  if exists (select from ledger.entries group by transfer_id having sum(amount) <> 0) then
    raise exception 'seeded entries do not sum to zero';
  end if;
  alter table ledger.entries enable trigger entries_balance;

  update ledger.accounts a set balance = e.balance_after, entry_count = e.seq, chain = e.chain
    from (select distinct on (account_id) * from ledger.entries order by account_id, seq desc) e
   where e.account_id = a.id and e.seq > a.entry_count;

  insert into ledger.idempotency (key, request_hash, status, body, created_at)
  select reference, sha256(convert_to(reference, 'UTF8')), 201, json_build_object('kind', kind, 'amount', amount), created_at
    from planned;
  insert into ledger.outbox (topic, subject, payload, created_at, published_at)
  select 'payments.v1.' || kind, reference, jsonb_build_object('amount', amount), created_at, created_at + interval '1 second'
    from planned order by n;
  insert into ledger.events (at, kind, subject, detail)
  select created_at, 'seeded.' || kind, 'transfer:' || reference, '{}' from planned where n % 5 = 0 order by n;
end $$;

-- Opens accounts and gives each an opening balance out of its funding account: proper double entry, total still zero.
create procedure ledger.open_accounts(p_accounts int, p_opening bigint) language plpgsql as $$
begin
  create temporary table planned on commit drop as
  with opened as (
    insert into ledger.accounts (holder, labels, fee_rate)
    select 'Customer ' || n, case when n % 10 = 0 then '{merchant,verified}' else '{verified}' end::text[],
           case when n % 10 = 0 then 0.011 else 0 end
      from generate_series(1, p_accounts) n
    returning id
  )
  select row_number() over (order by id) as n, 'seed:opening:' || id as reference,
         'opening'::ledger.transfer_kind as kind, ledger.funding_account(id) as debit_account, id as credit_account,
         p_opening as amount, timestamptz '2025-06-01Z' as created_at
    from opened;
  call ledger.book_planned();
  drop table planned;
end $$;

-- Fills the ledger with the past: payments in rounds, in which every customer passes the same amount on to the next, so
-- that nobody can be overdrawn however long the history; every fifth payment is a top-up.
create procedure ledger.fill_history(p_transfers int) language plpgsql as $$
declare
  customers bigint[] := array(select id from ledger.accounts where kind = 'customer' order by id);
  earlier bigint := (select count(*) from ledger.transfers where reference like 'seed:history:%');
begin
  create temporary table planned on commit drop as
  select n, 'seed:history:' || lpad(n::text, 12, '0') as reference,
         case when n % 5 = 0 then 'top-up' else 'transfer' end::ledger.transfer_kind as kind,
         case when n % 5 = 0 then ledger.funding_account(payer) else payer end as debit_account,
         payee as credit_account, 1000 + 500 * ((n / cardinality(customers)) % 50) as amount,
         timestamptz '2025-06-02Z' + (n - earlier) * (interval '400 days' / p_transfers) as created_at
    from generate_series(earlier + 1, earlier + p_transfers) n,
         lateral (select customers[1 + n % cardinality(customers)] as payer,
                         customers[1 + (n + 1) % cardinality(customers)] as payee) parties;
  call ledger.book_planned();
  drop table planned;
end $$;

revoke execute on all routines in schema ledger from public;
grant execute on all functions in schema ledger to wallet;
revoke execute on function ledger.record_hold_event() from wallet;
