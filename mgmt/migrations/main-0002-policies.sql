-- Versions of the policy. A number is never used again.
CREATE TABLE policy_version (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT NOT NULL,
    -- `toml` or `json`.
    format          TEXT NOT NULL,
    -- As the fast path would have computed it when the version was made.
    content_id      TEXT NOT NULL,
    -- SHA-256 of the text, and of what it says whichever way it is written.
    text_digest     TEXT NOT NULL,
    document_digest TEXT NOT NULL,
    -- `api`, `edit` (management changed the version before) or `fastpath` (found in force there).
    origin          TEXT NOT NULL,
    parent          INTEGER REFERENCES policy_version (number),
    devices         INTEGER NOT NULL,
    bytes           INTEGER NOT NULL,
    created_us      INTEGER NOT NULL,
    created_by      TEXT NOT NULL,
    reason          TEXT
) STRICT;
CREATE INDEX policy_version_by_text ON policy_version (text_digest, number);
CREATE INDEX policy_version_by_document ON policy_version (document_digest, number);

-- Their texts, apart: lists do not read them.
CREATE TABLE policy_text (
    number INTEGER PRIMARY KEY REFERENCES policy_version (number),
    gzip   BLOB NOT NULL
) STRICT;

-- The version that is wanted in force.
CREATE TABLE policy_desired (
    only          INTEGER PRIMARY KEY CHECK (only = 1),
    number        INTEGER NOT NULL REFERENCES policy_version (number),
    -- Not yet: on trial, and `fallback` comes back unless somebody confirms.
    confirmed     INTEGER NOT NULL,
    fallback      INTEGER REFERENCES policy_version (number),
    since_us      INTEGER NOT NULL,
    who           TEXT NOT NULL,
    unlisted_mode TEXT NOT NULL,
    unlisted_role TEXT
) STRICT;

-- The devices that the wanted version lists.
CREATE TABLE policy_device (
    key   TEXT PRIMARY KEY,
    name  TEXT NOT NULL,
    role  TEXT,
    mode  TEXT NOT NULL,
    owner TEXT,
    -- Since when it is in its mode, in seconds since the epoch.
    since INTEGER
) STRICT, WITHOUT ROWID;

-- What takes longer than a request.
CREATE TABLE job (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL,
    -- What it is about, such as `policy/12`.
    subject     TEXT NOT NULL,
    -- `queued`, `running`, `done` or `failed`.
    state       TEXT NOT NULL,
    percent     INTEGER NOT NULL DEFAULT 0,
    message     TEXT NOT NULL DEFAULT '',
    -- JSON.
    result      TEXT,
    created_by  TEXT NOT NULL,
    created_us  INTEGER NOT NULL,
    started_us  INTEGER,
    finished_us INTEGER
) STRICT;
CREATE INDEX job_by_state ON job (state, id);
CREATE INDEX job_by_kind ON job (kind, id);

-- What was not as usual.
CREATE TABLE alert (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Its number in the fast path. One that lost its memory counts from 1 again.
    number        INTEGER NOT NULL,
    device        TEXT NOT NULL,
    -- `open` or `ended`.
    state         TEXT NOT NULL,
    kind          TEXT NOT NULL,
    score_percent INTEGER NOT NULL,
    -- JSON list of sentences.
    reasons       TEXT NOT NULL,
    began_us      INTEGER NOT NULL,
    last_us       INTEGER NOT NULL,
    observations  INTEGER NOT NULL,
    -- Number in the fast path of the alert it belongs to.
    part_of       INTEGER,
    accepted_us   INTEGER,
    accepted_by   TEXT,
    accepted_reason TEXT
) STRICT;
CREATE INDEX alert_by_number ON alert (number, id);
CREATE INDEX alert_by_state ON alert (state, id);
CREATE INDEX alert_by_device ON alert (device, id);
CREATE INDEX alert_by_kind ON alert (kind, id);
CREATE INDEX alert_by_last ON alert (last_us);
