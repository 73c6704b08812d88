/**
 * The tables of the file. Times are milliseconds since the Unix epoch by the wall clock of the
 * machine that has the file: it is the one clock that all processes share.
 *
 * Every number that must only grow is an AUTOINCREMENT key: SQLite never gives one out twice, also
 * when its row is gone.
 */
export const SCHEMA = `
-- Messages, in one order for the whole file.
CREATE TABLE IF NOT EXISTS message (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  ns TEXT NOT NULL, subject TEXT NOT NULL,
  payload BLOB NOT NULL, headers TEXT NOT NULL, published_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS message_by_ns ON message (ns, sequence, subject);
CREATE INDEX IF NOT EXISTS message_by_subject ON message (ns, subject, sequence);

-- Positions in them. Everything up to the position was looked at.
CREATE TABLE IF NOT EXISTS consumer (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ns TEXT NOT NULL, durable TEXT, options TEXT NOT NULL,
  position INTEGER NOT NULL, process TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS consumer_by_name ON consumer (ns, durable) WHERE durable IS NOT NULL;

-- Deliveries that are not settled: in hand until due_ms, to be delivered again after it.
CREATE TABLE IF NOT EXISTS delivery (
  consumer INTEGER NOT NULL, sequence INTEGER NOT NULL,
  count INTEGER NOT NULL, due_ms REAL NOT NULL,
  PRIMARY KEY (consumer, sequence)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS delivery_by_due ON delivery (consumer, due_ms, sequence);

-- Message ids and dedup keys, with what the first one was answered.
CREATE TABLE IF NOT EXISTS dedup (
  scope TEXT NOT NULL, id TEXT NOT NULL, answer TEXT NOT NULL, until_ms REAL NOT NULL,
  PRIMARY KEY (scope, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dedup_by_end ON dedup (until_ms);

CREATE TABLE IF NOT EXISTS queue (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ns TEXT NOT NULL, name TEXT NOT NULL, paused INTEGER NOT NULL DEFAULT 0,
  UNIQUE (ns, name)
);

-- Jobs: leased until due_ms, or waiting and ready from due_ms on.
CREATE TABLE IF NOT EXISTS job (
  id INTEGER PRIMARY KEY,
  queue INTEGER NOT NULL, leased INTEGER NOT NULL DEFAULT 0, due_ms REAL NOT NULL,
  priority INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, place INTEGER NOT NULL,
  fence INTEGER NOT NULL DEFAULT 0, max_attempts INTEGER NOT NULL, dedup_key TEXT,
  payload BLOB NOT NULL, headers TEXT NOT NULL, enqueued_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS job_by_place ON job (queue, priority DESC, (fence > 0) DESC, place, due_ms);
CREATE INDEX IF NOT EXISTS job_by_due ON job (queue, due_ms);

-- What was given up, by kind and owner. A record has all it takes to bring it back.
CREATE TABLE IF NOT EXISTS dead_letter (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL, owner INTEGER NOT NULL, id TEXT NOT NULL,
  subject TEXT NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL,
  payload BLOB NOT NULL, headers TEXT NOT NULL,
  published_ms INTEGER NOT NULL, dead_ms REAL NOT NULL, origin TEXT NOT NULL,
  UNIQUE (kind, owner, id)
);

CREATE TABLE IF NOT EXISTS bucket (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ns TEXT NOT NULL, name TEXT NOT NULL,
  history INTEGER NOT NULL, ttl_ms REAL NOT NULL, max_bytes INTEGER NOT NULL,
  UNIQUE (ns, name)
);

-- Writes and deletes of keys, as many of each key as its bucket keeps.
CREATE TABLE IF NOT EXISTS entry (
  revision INTEGER PRIMARY KEY AUTOINCREMENT,
  bucket INTEGER NOT NULL, key TEXT NOT NULL, deleted INTEGER NOT NULL, last INTEGER NOT NULL DEFAULT 1,
  value BLOB NOT NULL, created_ms INTEGER NOT NULL, until_ms REAL
);
CREATE INDEX IF NOT EXISTS entry_by_revision ON entry (bucket, revision);
CREATE INDEX IF NOT EXISTS entry_by_key ON entry (bucket, key, revision);
CREATE UNIQUE INDEX IF NOT EXISTS entry_last ON entry (bucket, key) WHERE last;
CREATE INDEX IF NOT EXISTS entry_by_end ON entry (until_ms) WHERE until_ms IS NOT NULL;

CREATE TABLE IF NOT EXISTS lease (
  revision INTEGER PRIMARY KEY AUTOINCREMENT,
  ns TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, written_ms INTEGER NOT NULL,
  UNIQUE (ns, key)
);

-- Numbers that only grow: ids and places of jobs, and their fences.
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

-- Processes that have the file open, those who receive something in them, and what is on its way.
CREATE TABLE IF NOT EXISTS process (id TEXT PRIMARY KEY, seen_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS route (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ns TEXT NOT NULL, kind TEXT NOT NULL, pattern TEXT NOT NULL, grp TEXT, process TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS route_by_kind ON route (ns, kind);
CREATE TABLE IF NOT EXISTS mail (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  route INTEGER NOT NULL, subject TEXT NOT NULL, payload BLOB NOT NULL, headers TEXT NOT NULL,
  note TEXT NOT NULL, until_ms REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS mail_by_route ON mail (route, id);
CREATE INDEX IF NOT EXISTS mail_by_end ON mail (until_ms);
`;
