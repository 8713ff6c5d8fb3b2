-- Sessions get a number to be named by; nobody is logged in while this step is taken.
DROP TABLE session;
CREATE TABLE session (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- SHA-256 of the cookie.
    digest     TEXT NOT NULL UNIQUE,
    user       INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    created_us INTEGER NOT NULL,
    used_us    INTEGER NOT NULL,
    -- Where the login came from; empty when that is not known.
    address    TEXT NOT NULL
) STRICT;
CREATE INDEX session_by_user ON session (user, id);
CREATE INDEX session_by_created ON session (created_us);
CREATE INDEX session_by_used ON session (used_us);

-- Who a user is to the identity provider; absent for local users.
ALTER TABLE user ADD COLUMN issuer TEXT;
ALTER TABLE user ADD COLUMN subject TEXT;
CREATE UNIQUE INDEX user_by_subject ON user (issuer, subject);
-- Wrong passwords in a row, and when the last one came: a restart must not forget them.
ALTER TABLE user ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user ADD COLUMN failed_us INTEGER NOT NULL DEFAULT 0;

-- Programs that come with a client certificate, by its common name.
CREATE TABLE certificate (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    revision   INTEGER NOT NULL DEFAULT 1
) STRICT;
