/** What Amazon RDS for MariaDB gives the master user of an instance. */

/** No SUPER, FILE, SHUTDOWN, BINLOG ADMIN, READ_ONLY ADMIN, REPLICATION SLAVE ADMIN, CONNECTION ADMIN. */
export const masterGrants = [
  'SELECT',
  'INSERT',
  'UPDATE',
  'DELETE',
  'CREATE',
  'DROP',
  'RELOAD',
  'PROCESS',
  'REFERENCES',
  'INDEX',
  'ALTER',
  'SHOW DATABASES',
  'CREATE TEMPORARY TABLES',
  'LOCK TABLES',
  'EXECUTE',
  'REPLICATION SLAVE',
  'BINLOG MONITOR',
  'CREATE VIEW',
  'SHOW VIEW',
  'CREATE ROUTINE',
  'ALTER ROUTINE',
  'CREATE USER',
  'EVENT',
  'TRIGGER',
].join(', ')

/**
 * The procedures in place of what is refused, as far as a migration needs them. A model: they keep what they are told
 * and act on nothing.
 */
export function rdsProcedures(): string[] {
  const definer = `DEFINER='rig-admin'@'%'`
  return [
    'CREATE TABLE mysql.rds_configuration (name VARCHAR(100) PRIMARY KEY, value VARCHAR(100))',
    "INSERT INTO mysql.rds_configuration VALUES ('binlog retention hours', NULL)",
    `CREATE ${definer} PROCEDURE mysql.rds_set_configuration(p_name VARCHAR(100), p_value VARCHAR(100))
       UPDATE mysql.rds_configuration SET value = p_value WHERE name = p_name`,
    `CREATE ${definer} PROCEDURE mysql.rds_show_configuration() SELECT name, value FROM mysql.rds_configuration`,
    `CREATE ${definer} PROCEDURE mysql.rds_kill(p_thread BIGINT) KILL p_thread`,
  ]
}
