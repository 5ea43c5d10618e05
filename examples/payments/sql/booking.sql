-- Booking: what one payment does, as functions that the wallet calls with a single statement each. So a payment is one
-- round trip and one transaction, locks last no longer than its commit, and a transaction pooler is all it needs.
--
-- Locks are always taken in this order: idempotency key, hold, accounts by id. So payments cannot deadlock.

create type ledger.answer as (status smallint, body text, replayed boolean);

create function ledger.funding_account(p_customer bigint) returns bigint
  language sql immutable as 'select 1 + p_customer % 16';
create function ledger.escrow_account(p_customer bigint) returns bigint
  language sql immutable as 'select 17 + p_customer % 16';

create function ledger.next_link(p_chain bytea, p_transfer bigint, p_amount bigint) returns bytea
  language sql immutable as $$ select sha256(p_chain || int8send(p_transfer) || int8send(p_amount)) $$;

-- The answer given to this key before, 409 when it was another request, or null. Two requests with one key wait for
-- each other here: the second finds the first one's answer, since every statement below sees what is committed by then.
create function ledger.recall(p_key text, p_request bytea) returns ledger.answer language plpgsql as $$
declare earlier ledger.idempotency;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_key, 0));
  select * into earlier from ledger.idempotency where key = p_key;
  if not found then return null; end if;
  if earlier.request_hash <> p_request then
    return row(409, '{"error":"key-was-used-for-another-request"}', false)::ledger.answer;
  end if;
  return row(earlier.status, earlier.body, true)::ledger.answer;
end $$;

create function ledger.remember(p_key text, p_request bytea, p_status int, p_body json) returns ledger.answer
  language plpgsql as $$
begin
  insert into ledger.idempotency (key, request_hash, status, body) values (p_key, p_request, p_status, p_body::text);
  return row(p_status, p_body::text, false)::ledger.answer;
end $$;

-- Locks both accounts, then says why the payment must be refused, or null.
create function ledger.refusal(p_debit bigint, p_credit bigint, p_amount bigint) returns text language plpgsql as $$
declare payer ledger.accounts;
begin
  perform from ledger.accounts where id in (p_debit, p_credit) order by id for no key update;
  if not exists (select from ledger.accounts where id = p_credit) then return 'unknown-account'; end if;
  select * into payer from ledger.accounts where id = p_debit;
  if not found then return 'unknown-account'; end if;
  if payer.kind = 'customer' and payer.balance < p_amount then return 'insufficient-funds'; end if;
  return null;
end $$;

-- Returns the entry's number in its account.
create function ledger.append_entry(p_transfer bigint, p_account bigint, p_amount bigint) returns bigint
  language plpgsql as $$
declare account ledger.accounts;
begin
  update ledger.accounts
     set balance = balance + p_amount, entry_count = entry_count + 1, chain = ledger.next_link(chain, p_transfer, p_amount)
   where id = p_account returning * into account;
  insert into ledger.entries (account_id, seq, transfer_id, amount, balance_after, chain)
  values (p_account, account.entry_count, p_transfer, p_amount, account.balance, account.chain);
  return account.entry_count;
end $$;

-- Books a payment that `refusal` has let pass, and returns the answer's body. Its event says which entry of each account
-- it is, so that consumers can keep the order of an account whatever a broker does. Both accounts are locked by now, so
-- that events of one account are numbered in the order in which they commit.
create function ledger.post(
  p_key text, p_kind ledger.transfer_kind, p_debit bigint, p_credit bigint, p_amount bigint, p_hold bigint,
  p_refund_of bigint default null
) returns json language plpgsql as $$
declare
  booked ledger.transfers;
  answer json;
  debit bigint;
  credit bigint;
begin
  insert into ledger.transfers (reference, kind, debit_account, credit_account, amount, hold_id, refund_of)
  values (p_key, p_kind, p_debit, p_credit, p_amount, p_hold, p_refund_of) returning * into booked;
  debit := ledger.append_entry(booked.id, p_debit, -p_amount);
  credit := ledger.append_entry(booked.id, p_credit, p_amount);
  answer := json_build_object('transfer', booked.id::text, 'receipt', booked.receipt::text, 'kind', p_kind,
                              'amount', p_amount, 'hold', p_hold::text);
  insert into ledger.outbox (topic, subject, payload)
  values ('payments.v1.' || p_kind, p_key, answer::jsonb || jsonb_build_object(
    'debit', jsonb_build_object('account', p_debit, 'seq', debit),
    'credit', jsonb_build_object('account', p_credit, 'seq', credit)));
  return answer;
end $$;

create function ledger.pay(
  p_key text, p_request bytea, p_kind ledger.transfer_kind, p_debit bigint, p_credit bigint, p_amount bigint
) returns ledger.answer language plpgsql as $$
declare
  earlier ledger.answer := ledger.recall(p_key, p_request);
  refused text;
begin
  if earlier.status is not null then return earlier; end if;
  refused := ledger.refusal(p_debit, p_credit, p_amount);
  if refused is not null then
    return ledger.remember(p_key, p_request, 422, json_build_object('error', refused));
  end if;
  return ledger.remember(p_key, p_request, 201, ledger.post(p_key, p_kind, p_debit, p_credit, p_amount, null));
end $$;

create function ledger.hold(p_key text, p_request bytea, p_account bigint, p_payee bigint, p_amount bigint)
  returns ledger.answer language plpgsql as $$
declare
  earlier ledger.answer := ledger.recall(p_key, p_request);
  escrow bigint := ledger.escrow_account(p_account);
  refused text;
  hold bigint;
begin
  if earlier.status is not null then return earlier; end if;
  refused := ledger.refusal(p_account, escrow, p_amount);
  if refused is null and not exists (select from ledger.accounts where id = p_payee) then
    refused := 'unknown-account';
  end if;
  if refused is not null then
    return ledger.remember(p_key, p_request, 422, json_build_object('error', refused));
  end if;
  insert into ledger.holds (account_id, payee_id, escrow_id, amount) values (p_account, p_payee, escrow, p_amount)
    returning id into hold;
  return ledger.remember(p_key, p_request, 201, ledger.post(p_key, 'hold', p_account, escrow, p_amount, hold));
end $$;

-- Captures a hold for its payee, or releases it to its account: all that is left of it, or of a capture a part.
create function ledger.close_hold(
  p_key text, p_request bytea, p_kind ledger.transfer_kind, p_hold bigint, p_amount bigint default null
) returns ledger.answer language plpgsql as $$
declare
  earlier ledger.answer := ledger.recall(p_key, p_request);
  hold ledger.holds;
  remaining bigint;
  credited bigint;
begin
  if earlier.status is not null then return earlier; end if;
  select * into hold from ledger.holds where id = p_hold for update;
  if hold.id is null then
    return ledger.remember(p_key, p_request, 422, json_build_object('error', 'unknown-hold'));
  end if;
  if hold.state <> 'held' then
    return ledger.remember(p_key, p_request, 422, json_build_object('error', 'hold-is-closed'));
  end if;
  remaining := hold.amount - hold.captured;
  if p_amount > remaining then
    return ledger.remember(p_key, p_request, 422, json_build_object('error', 'more-than-is-held'));
  end if;
  p_amount := coalesce(p_amount, remaining);
  credited := case p_kind when 'capture' then hold.payee_id else hold.account_id end;
  perform ledger.refusal(hold.escrow_id, credited, p_amount);
  if p_kind = 'capture' then update ledger.holds set captured = captured + p_amount where id = p_hold; end if;
  if p_amount = remaining then
    update ledger.holds set state = (p_kind || 'd')::ledger.hold_state, closed_at = now() where id = p_hold;
  end if;
  return ledger.remember(p_key, p_request, 201,
                         ledger.post(p_key, p_kind, hold.escrow_id, credited, p_amount, p_hold));
end $$;

-- Gives back a capture or a transfer, or a part of it; all refunds together are never more than it was.
create function ledger.refund(p_key text, p_request bytea, p_transfer bigint, p_amount bigint)
  returns ledger.answer language plpgsql as $$
declare
  earlier ledger.answer := ledger.recall(p_key, p_request);
  original ledger.transfers;
  payer bigint;
  refused text;
begin
  if earlier.status is not null then return earlier; end if;
  perform pg_advisory_xact_lock(hashtextextended('refund:' || p_transfer, 0));
  select * into original from ledger.transfers where id = p_transfer and kind in ('capture', 'transfer');
  if not found then refused := 'unknown-payment';
  elsif p_amount + (select coalesce(sum(amount), 0) from ledger.transfers where refund_of = p_transfer) > original.amount then
    refused := 'more-than-was-paid';
  else
    payer := coalesce((select account_id from ledger.holds where id = original.hold_id), original.debit_account);
    refused := ledger.refusal(original.credit_account, payer, p_amount);
  end if;
  if refused is not null then
    return ledger.remember(p_key, p_request, 422, json_build_object('error', refused));
  end if;
  return ledger.remember(p_key, p_request, 201,
                         ledger.post(p_key, 'refund', original.credit_account, payer, p_amount, null, p_transfer));
end $$;
