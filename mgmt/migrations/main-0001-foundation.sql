-- Who changed what. Written in the same transaction as the change itself.
CREATE TABLE audit (
    seq       INTEGER PRIMARY KEY,
    time_us   INTEGER NOT NULL,
    who       TEXT NOT NULL,
    operation TEXT NOT NULL,
    subject   TEXT NOT NULL,
    -- The record as it was hashed; the columns above repeat what lists ask for.
    body      TEXT NOT NULL,
    hash      TEXT NOT NULL,
    signature TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_subject ON audit (subject, seq);
CREATE INDEX audit_by_who ON audit (who, seq);
CREATE INDEX audit_by_operation ON audit (operation, seq);

CREATE TABLE user (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    display_name  TEXT NOT NULL,
    role          TEXT NOT NULL,
    -- PHC string of argon2id; absent for users who come from an identity provider.
    password      TEXT,
    disabled      INTEGER NOT NULL DEFAULT 0,
    created_us    INTEGER NOT NULL,
    last_login_us INTEGER,
    revision      INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE session (
    -- SHA-256 of the cookie.
    digest     TEXT PRIMARY KEY,
    user       INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    created_us INTEGER NOT NULL,
    used_us    INTEGER NOT NULL,
    address    TEXT NOT NULL
) STRICT;

CREATE TABLE token (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    -- SHA-256 of the token.
    digest     TEXT NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    -- JSON list of scopes, such as ["devices:read"].
    scopes     TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    used_us    INTEGER,
    revision   INTEGER NOT NULL DEFAULT 1
) STRICT;

-- The one-time code of the first start, as its digest, until it is used.
CREATE TABLE setup (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    digest     TEXT NOT NULL,
    created_us INTEGER NOT NULL
) STRICT;

-- Answers to requests that came with an Idempotency-Key. No status: still under way, or cut off.
CREATE TABLE idempotency (
    who        TEXT NOT NULL,
    key        TEXT NOT NULL,
    request    TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    status     INTEGER,
    headers    TEXT,
    body       BLOB,
    PRIMARY KEY (who, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
    id            INTEGER PRIMARY KEY,
    -- MAC address and VLAN as they stand in a URL: 00-09-fb-12-34-56, …-56.10, …-56.10.20
    key           TEXT NOT NULL UNIQUE,
    -- As the fast path sees it.
    name          TEXT NOT NULL DEFAULT '',
    policy_role   TEXT,
    role          TEXT,
    probability_percent INTEGER NOT NULL DEFAULT 0,
    confirmed     INTEGER NOT NULL DEFAULT 0,
    mode          TEXT NOT NULL,
    care          TEXT NOT NULL,
    vendor        TEXT,
    model         TEXT,
    first_seen_us INTEGER NOT NULL,
    last_seen_us  INTEGER NOT NULL,
    -- The whole view, JSON.
    seen          TEXT NOT NULL,
    -- As people wrote it down.
    criticality   TEXT,
    location      TEXT,
    ward          TEXT,
    bed           TEXT,
    notes         TEXT NOT NULL DEFAULT '',
    -- Everything that can be searched for, in lower case.
    search        TEXT NOT NULL,
    revision      INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX device_by_name ON device (name, id);
CREATE INDEX device_by_role ON device (role, id);
CREATE INDEX device_by_last_seen ON device (last_seen_us, id);
CREATE INDEX device_by_mode ON device (mode, id);
CREATE INDEX device_by_ward ON device (ward, id);
