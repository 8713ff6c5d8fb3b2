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

-- Conversations by device, peer, service, verdict and five minutes.
CREATE TABLE flow (
    bucket_s      INTEGER NOT NULL,
    device        INTEGER NOT NULL REFERENCES device (id),
    peer          INTEGER NOT NULL REFERENCES peer (id),
    service       INTEGER NOT NULL REFERENCES service (id),
    verdict       INTEGER NOT NULL REFERENCES verdict (id),
    conversations INTEGER NOT NULL,
    frames_sent   INTEGER NOT NULL,
    bytes_sent    INTEGER NOT NULL,
    frames_got    INTEGER NOT NULL,
    bytes_got     INTEGER NOT NULL,
    PRIMARY KEY (bucket_s, device, peer, service, verdict)
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_by_device ON flow (device, bucket_s, peer, service, verdict);
CREATE INDEX flow_by_peer ON flow (peer, bucket_s, device, service, verdict);
CREATE INDEX flow_by_service ON flow (service, bucket_s, device, peer, verdict);
CREATE INDEX flow_by_verdict ON flow (verdict, bucket_s, device, peer, service);

-- The same over all time: who talks to whom.
CREATE TABLE edge (
    device        INTEGER NOT NULL REFERENCES device (id),
    peer          INTEGER NOT NULL REFERENCES peer (id),
    service       INTEGER NOT NULL REFERENCES service (id),
    verdict       INTEGER NOT NULL REFERENCES verdict (id),
    conversations INTEGER NOT NULL,
    bytes_sent    INTEGER NOT NULL,
    bytes_got     INTEGER NOT NULL,
    first_s       INTEGER NOT NULL,
    last_s        INTEGER NOT NULL,
    PRIMARY KEY (device, peer, service, verdict)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_by_peer ON edge (peer, device);

-- Observations that were lost, by five minutes: what the records of that time lack.
CREATE TABLE gap (
    bucket_s INTEGER PRIMARY KEY,
    lost     INTEGER NOT NULL
) STRICT;
