-- Texts and tuples that flow records repeat, by number.
CREATE TABLE device (
    id  INTEGER PRIMARY KEY,
    -- As in the other database: 00-09-fb-12-34-56.10
    key TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE peer (
    id      INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE service (
    id        INTEGER PRIMARY KEY,
    -- Who began: `device` or `peer`.
    initiator TEXT NOT NULL,
    protocol  INTEGER NOT NULL,
    -- Port of whoever did not begin; `type << 8 | code` of ICMP; EtherType where protocol is 0.
    port      INTEGER NOT NULL,
    UNIQUE (initiator, protocol, port)
) STRICT;

CREATE TABLE verdict (
    id     INTEGER PRIMARY KEY,
    -- `forward`, `would-drop` or `drop`.
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    UNIQUE (action, reason)
) STRICT;

-- Who talks to whom, over what, and what was decided; with what it carried over all time.
CREATE TABLE edge (
    id            INTEGER PRIMARY KEY,
    device        INTEGER NOT NULL REFERENCES device (id),
    peer          INTEGER NOT NULL REFERENCES peer (id),
    service       INTEGER NOT NULL REFERENCES service (id),
    verdict       INTEGER NOT NULL REFERENCES verdict (id),
    conversations INTEGER NOT NULL,
    bytes_sent    INTEGER NOT NULL,
    bytes_got     INTEGER NOT NULL,
    first_s       INTEGER NOT NULL,
    last_s        INTEGER NOT NULL,
    UNIQUE (device, peer, service, verdict)
) STRICT;
CREATE INDEX edge_by_peer ON edge (peer);
CREATE INDEX edge_by_service ON edge (service);
CREATE INDEX edge_by_verdict ON edge (verdict);
CREATE INDEX edge_by_last ON edge (last_s);

-- What went over an edge in each five minutes.
CREATE TABLE flow (
    edge          INTEGER NOT NULL REFERENCES edge (id),
    bucket_s      INTEGER NOT NULL,
    conversations INTEGER NOT NULL,
    frames_sent   INTEGER NOT NULL,
    bytes_sent    INTEGER NOT NULL,
    frames_got    INTEGER NOT NULL,
    bytes_got     INTEGER NOT NULL,
    PRIMARY KEY (edge, bucket_s)
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_by_time ON flow (bucket_s, edge);

-- Observations that were lost, by five minutes: what the records of that time lack.
CREATE TABLE gap (
    bucket_s INTEGER PRIMARY KEY,
    lost     INTEGER NOT NULL
) STRICT;
