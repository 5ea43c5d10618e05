-- What the consumers of payments keep, in a database of their own. Run by its owner; PostgreSQL 13 and later.
-- An event and its effect are one transaction: a broker may deliver it as often as it likes.

create schema consumers;

-- Where the consumers began: events up to here were there before them.
create table consumers.beginning (outbox_id bigint not null);

-- How far each consumer has come with each account.
create table consumers.positions (
  consumer text not null,
  account  bigint not null,
  seq      bigint not null,
  primary key (consumer, account)
) with (fillfactor = 70);

-- `ordinal` ascends in the order of the effects.
create table consumers.inbox (
  consumer text not null,
  event    bigint not null,
  ordinal  bigint generated always as identity,
  topic    text not null,
  subject  text not null,
  payload  jsonb not null,
  taken_at timestamptz not null default now(),
  primary key (consumer, event)
);
-- Receipts and search follow it.
create index inbox_by_order on consumers.inbox (consumer, ordinal);

-- The effects.
create table consumers.notifications (
  event   bigint not null,
  account bigint not null,
  amount  bigint not null,
  primary key (event, account)
);
create table consumers.settlement_items (
  event  bigint primary key,
  payee  bigint not null,
  amount bigint not null
);
create index settlement_items_by_payee on consumers.settlement_items (payee);
create table consumers.exposures (
  account  bigint primary key,
  payments bigint not null,
  volume   bigint not null
) with (fillfactor = 70);
create table consumers.documents (
  transfer bigint primary key,
  event    bigint not null unique,
  body     jsonb not null
);

create function consumers.have_effect(p_consumer text, p_event bigint, p_payload jsonb) returns void
  language plpgsql as $$
declare
  debit bigint := p_payload -> 'debit' ->> 'account';
  credit bigint := p_payload -> 'credit' ->> 'account';
  amount bigint := p_payload ->> 'amount';
begin
  case p_consumer
    when 'notification' then
      insert into consumers.notifications values (p_event, debit, -amount), (p_event, credit, amount);
    when 'settlement' then
      if p_payload ->> 'kind' = 'capture' then insert into consumers.settlement_items values (p_event, credit, amount); end if;
      if p_payload ->> 'kind' = 'refund' then insert into consumers.settlement_items values (p_event, debit, -amount); end if;
    when 'risk' then
      insert into consumers.exposures values (debit, 1, amount)
        on conflict (account) do update
        set payments = exposures.payments + 1, volume = exposures.volume + excluded.volume;
    when 'search-index' then
      insert into consumers.documents values ((p_payload ->> 'transfer')::bigint, p_event, p_payload);
  end case;
end $$;

-- Takes an event: `done`, `again` when it was taken before, or `early` when one of its accounts has an earlier event
-- that has not arrived yet; then nothing has changed.
create function consumers.take(p_consumer text, p_event bigint, p_topic text, p_subject text, p_payload jsonb)
  returns text language plpgsql as $$
declare
  leg jsonb;
  reached bigint;
begin
  -- One event at a time for each consumer, should two processes believe to be the only one.
  perform pg_advisory_xact_lock(hashtextextended('consumer:' || p_consumer, 0));
  if exists (select from consumers.inbox where consumer = p_consumer and event = p_event) then return 'again'; end if;
  foreach leg in array array[p_payload -> 'debit', p_payload -> 'credit'] loop
    select seq into reached from consumers.positions
     where consumer = p_consumer and account = (leg ->> 'account')::bigint;
    if (leg ->> 'seq')::bigint is distinct from coalesce(reached, 0) + 1 then return 'early'; end if;
  end loop;
  insert into consumers.positions
  select p_consumer, (l ->> 'account')::bigint, (l ->> 'seq')::bigint
    from jsonb_array_elements(jsonb_build_array(p_payload -> 'debit', p_payload -> 'credit')) l
      on conflict (consumer, account) do update set seq = excluded.seq;
  insert into consumers.inbox (consumer, event, topic, subject, payload)
  values (p_consumer, p_event, p_topic, p_subject, p_payload);
  perform consumers.have_effect(p_consumer, p_event, p_payload);
  return 'done';
end $$;

-- Several events in the order given, in one transaction; what became of each, in that order.
create function consumers.take_all(p_consumer text, p_events jsonb) returns text[] language plpgsql as $$
declare
  event jsonb;
  outcomes text[] := '{}';
begin
  for event in select value from jsonb_array_elements(p_events) with ordinality order by ordinality loop
    outcomes := outcomes || consumers.take(p_consumer, (event ->> 'event')::bigint, event ->> 'topic',
                                           event ->> 'subject', event -> 'payload');
  end loop;
  return outcomes;
end $$;

-- How far the search service has carried documents to its own store, by the order in which they were taken.
create table consumers.search_position (ordinal bigint not null);
insert into consumers.search_position values (0);
