-- Texts of jobs, names of queues and keys are blobs: any text of Python comes back exactly, also one that is not Unicode.

CREATE TABLE IF NOT EXISTS queue (
  name BLOB PRIMARY KEY,
  length INTEGER NOT NULL DEFAULT 0      -- kept by the triggers below
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS job (
  id INTEGER PRIMARY KEY,
  queue BLOB NOT NULL,
  position INTEGER NOT NULL,             -- the smallest comes next
  raw BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS job_position ON job (queue, position);

CREATE TRIGGER IF NOT EXISTS job_came AFTER INSERT ON job BEGIN
  UPDATE queue SET length = length + 1 WHERE name = NEW.queue;
END;
CREATE TRIGGER IF NOT EXISTS job_went AFTER DELETE ON job BEGIN
  UPDATE queue SET length = length - 1 WHERE name = OLD.queue;
END;

CREATE TABLE IF NOT EXISTS delayed (
  id INTEGER PRIMARY KEY AUTOINCREMENT,  -- those of one second in the order stored
  at INTEGER NOT NULL,                   -- unix seconds
  raw BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS delayed_at ON delayed (at, id);
CREATE INDEX IF NOT EXISTS delayed_raw ON delayed (raw, at);

-- Delayed texts whose spelling no guard knows, by their meaning. What is not delayed any more is as good as none.
CREATE TABLE IF NOT EXISTS spelled (
  meaning TEXT NOT NULL,
  at INTEGER NOT NULL,
  raw BLOB NOT NULL,
  PRIMARY KEY (meaning, at, raw)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS failure (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  digest INTEGER NOT NULL,               -- by which an entry is found: an index on the texts would be as large as they
  entry BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS failure_digest ON failure (digest, id);

CREATE TABLE IF NOT EXISTS counter (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;

-- The process and the workers that others see, and what these hold.
CREATE TABLE IF NOT EXISTS process (
  name TEXT PRIMARY KEY,
  queues BLOB NOT NULL,                     -- with commas between
  lease_ends REAL NOT NULL                  -- for people: no process dies by it
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS lease (
  renewal INTEGER PRIMARY KEY AUTOINCREMENT, -- a larger one with each renewal, whosever it is
  process TEXT NOT NULL UNIQUE,
  length REAL NOT NULL,
  dead INTEGER NOT NULL DEFAULT 0            -- 1 once a rescuer declared the process dead
);
-- Schema 1 had no such table. What is dead of those processes is rescued after this many seconds.
INSERT OR IGNORE INTO lease (process, length) SELECT name, 12 FROM process;

CREATE TABLE IF NOT EXISTS worker (
  process TEXT NOT NULL,
  slot INTEGER NOT NULL,
  since REAL NOT NULL,
  PRIMARY KEY (process, slot)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS claim (
  token INTEGER PRIMARY KEY AUTOINCREMENT,  -- never the same one twice; the order of claiming
  process TEXT NOT NULL,
  slot INTEGER NOT NULL,
  queue BLOB NOT NULL,
  raw BLOB NOT NULL,
  since REAL NOT NULL,
  alone INTEGER NOT NULL DEFAULT 0,         -- 1 once it runs alone, 2 when it did and others run beside it
  UNIQUE (process, slot)
);

-- What lapses: a row whose moment is past is as good as none.
CREATE TABLE IF NOT EXISTS lock (
  key BLOB PRIMARY KEY,
  owner TEXT,                               -- the worker and the token of the claim; NULL for a queued job's
  until REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS attempts (
  name BLOB PRIMARY KEY,
  count INTEGER NOT NULL,
  until REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS trace (
  name BLOB PRIMARY KEY,
  text BLOB NOT NULL,
  until REAL NOT NULL
) WITHOUT ROWID;

-- News for which nobody has waited yet: of a queue, or of the schedule under the empty name.
CREATE TABLE IF NOT EXISTS news (
  queue BLOB PRIMARY KEY
) WITHOUT ROWID;

-- Periodic tasks: what is declared, until that lapses; what is stopped, and why; until when slots are seen.
CREATE TABLE IF NOT EXISTS periodic (
  name BLOB PRIMARY KEY,
  definition BLOB NOT NULL,                 -- JSON
  until REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS stopped (
  name BLOB PRIMARY KEY,
  why TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS seen (
  name BLOB PRIMARY KEY,
  until INTEGER NOT NULL                    -- unix seconds
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS leader (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  owner TEXT NOT NULL,
  until REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS pause (
  one INTEGER PRIMARY KEY CHECK (one = 1)
);
