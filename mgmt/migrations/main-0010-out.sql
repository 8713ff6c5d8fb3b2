-- Who is told, and how far.
CREATE TABLE receiver (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT NOT NULL UNIQUE,
    enabled        INTEGER NOT NULL,
    -- JSON list of `alerts`, `verdicts`, `audit`.
    subjects       TEXT NOT NULL,
    -- JSON, without the secret.
    target         TEXT NOT NULL,
    -- Key that signs, or key of the client certificate. Needed as it is, so it cannot be a digest.
    secret         TEXT,
    -- Numbers of the last alert event and of the last audit record that are done with.
    alert_place    INTEGER NOT NULL,
    audit_place    INTEGER NOT NULL,
    sent           INTEGER NOT NULL DEFAULT 0,
    dropped        INTEGER NOT NULL DEFAULT 0,
    success_us     INTEGER,
    error_us       INTEGER,
    error          TEXT,
    created_by     TEXT NOT NULL,
    created_us     INTEGER NOT NULL,
    revision       INTEGER NOT NULL DEFAULT 1
) STRICT;

-- What happened to alerts, written with the alert itself, so that a crash loses nothing that a
-- receiver has not got. Each receiver reads it at its own place.
CREATE TABLE alert_event (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    time_us INTEGER NOT NULL,
    event   TEXT NOT NULL,
    -- The alert as it was then, JSON.
    alert   TEXT NOT NULL
) STRICT;
