-- Merchants, what they sell, and what they are owed. MariaDB 10.11; run in an empty database. Money is whole dong;
-- times are UTC.

create table merchants (
  id             bigint unsigned not null auto_increment primary key,
  partner_code   varchar(32) character set ascii not null unique,
  name           varchar(100) not null,
  wallet_account bigint not null,
  bank_bin       char(6) character set ascii not null,
  bank_account   varchar(19) character set ascii not null,
  created_at     datetime(3) not null default current_timestamp(3)
) engine = innodb default charset = utf8mb4;

create table api_keys (
  access_key  varchar(40) character set ascii not null primary key,
  merchant_id bigint unsigned not null,
  secret      varchar(64) character set ascii not null,
  created_at  datetime(3) not null default current_timestamp(3),
  foreign key (merchant_id) references merchants (id)
) engine = innodb;

-- Every request of a merchant and its answer: the same request gets the same answer again.
create table requests (
  merchant_id bigint unsigned not null,
  request_id  varchar(64) character set ascii collate ascii_bin not null,
  digest      binary(32) not null,
  answer      text character set utf8mb4 not null,
  created_at  datetime(3) not null default current_timestamp(3),
  primary key (merchant_id, request_id),
  foreign key (merchant_id) references merchants (id)
) engine = innodb;

create table orders (
  id           bigint unsigned not null auto_increment primary key,
  merchant_id  bigint unsigned not null,
  order_ref    varchar(64) character set ascii collate ascii_bin not null,
  request_id   varchar(64) character set ascii collate ascii_bin not null,
  amount       bigint not null,
  info         varchar(255) not null,
  ipn_url      varchar(255) character set ascii not null,
  auto_capture boolean not null,
  qr           varchar(512) character set ascii not null,
  state        enum ('open', 'paying', 'held', 'paid', 'failed', 'cancelled') not null default 'open',
  payer        bigint,
  hold_id      bigint,
  created_at   datetime(3) not null default current_timestamp(3),
  unique (merchant_id, order_ref),
  key unfinished (state, id),
  foreign key (merchant_id) references merchants (id),
  check (amount > 0)
) engine = innodb default charset = utf8mb4;

-- What was asked of the wallet under `reference`; written before it is asked, so that nothing is asked twice in effect.
create table operations (
  id            bigint unsigned not null auto_increment primary key,
  order_id      bigint unsigned not null,
  merchant_id   bigint unsigned not null,
  kind          enum ('capture', 'refund', 'release') not null,
  reference     varchar(120) character set ascii collate ascii_bin not null unique,
  amount        bigint not null,
  original      bigint,
  state         enum ('asked', 'done', 'refused') not null default 'asked',
  transfer      bigint,
  happened_at   datetime(3),
  settlement_id bigint unsigned,
  key unsettled (settlement_id, merchant_id),
  key by_state (state, id),
  foreign key (order_id) references orders (id),
  check (amount > 0)
) engine = innodb;

create table settlements (
  id          bigint unsigned not null auto_increment primary key,
  merchant_id bigint unsigned not null,
  day         date not null,
  captured    bigint not null,
  refunded    bigint not null,
  amount      bigint not null,
  created_at  datetime(3) not null default current_timestamp(3),
  unique (merchant_id, day),
  foreign key (merchant_id) references merchants (id)
) engine = innodb;

create table ipn_deliveries (
  id           bigint unsigned not null auto_increment primary key,
  operation_id bigint unsigned not null unique,
  url          varchar(255) character set ascii not null,
  body         text character set utf8mb4 not null,
  attempts     int not null default 0,
  next_at      datetime(3) not null default current_timestamp(3),
  delivered_at datetime(3),
  key due (delivered_at, next_at),
  foreign key (operation_id) references operations (id)
) engine = innodb;
