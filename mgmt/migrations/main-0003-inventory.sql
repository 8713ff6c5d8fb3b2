-- The hospital's list of what it owns. Texts that are not known are empty.
CREATE TABLE asset (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    tag         TEXT NOT NULL UNIQUE,
    cmms_number TEXT NOT NULL,
    serial      TEXT NOT NULL,
    udi         TEXT NOT NULL,
    maker       TEXT NOT NULL,
    model       TEXT NOT NULL,
    department  TEXT NOT NULL,
    hostname    TEXT NOT NULL,
    site        TEXT NOT NULL,
    building    TEXT NOT NULL,
    floor       TEXT NOT NULL,
    ward        TEXT NOT NULL,
    room        TEXT NOT NULL,
    bed         TEXT NOT NULL,
    notes       TEXT NOT NULL,
    -- Its MAC addresses, with a space between them.
    macs        TEXT NOT NULL,
    -- Everything that can be searched for, in lower case.
    search      TEXT NOT NULL,
    created_us  INTEGER NOT NULL,
    revision    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX asset_by_maker ON asset (maker, id);
CREATE INDEX asset_by_model ON asset (model, id);
CREATE INDEX asset_by_department ON asset (department, id);
CREATE INDEX asset_by_ward ON asset (ward, id);

-- Which devices an asset has, and had. A device is named by its key: it need not have been seen.
CREATE TABLE asset_link (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    asset    INTEGER NOT NULL REFERENCES asset (id) ON DELETE CASCADE,
    device   TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    -- Absent: still so.
    until_us INTEGER
) STRICT;
CREATE UNIQUE INDEX asset_link_now ON asset_link (asset, device) WHERE until_us IS NULL;
CREATE INDEX asset_link_by_asset ON asset_link (asset, id);
CREATE INDEX asset_link_by_device ON asset_link (device, id);

-- Lists that were uploaded, and what each row would do.
CREATE TABLE asset_import (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    created_by TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    applied_us INTEGER,
    applied_by TEXT,
    -- What was counted, and which columns were read, JSON.
    summary    TEXT NOT NULL,
    -- The rows as they were read, JSON.
    rows       TEXT NOT NULL
) STRICT;
CREATE TABLE asset_import_row (
    import  INTEGER NOT NULL REFERENCES asset_import (id) ON DELETE CASCADE,
    line    INTEGER NOT NULL,
    -- `new`, `changed`, `same` or `conflict`.
    status  TEXT NOT NULL,
    -- JSON.
    outcome TEXT NOT NULL,
    PRIMARY KEY (import, line)
) STRICT, WITHOUT ROWID;
CREATE INDEX asset_import_row_by_status ON asset_import_row (import, status, line);

-- Named sets of devices.
CREATE TABLE device_group (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    -- Devices that match all that is said here belong to it as well; absent: anything.
    by_role        TEXT,
    by_ward        TEXT,
    by_location    TEXT,
    by_criticality TEXT,
    created_us  INTEGER NOT NULL,
    revision    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE device_group_member (
    device_group INTEGER NOT NULL REFERENCES device_group (id) ON DELETE CASCADE,
    device       TEXT NOT NULL,
    PRIMARY KEY (device_group, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_group_member_by_device ON device_group_member (device);

-- The networks of the hospital.
CREATE TABLE network (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    -- VLAN tag; absent: any.
    vlan       INTEGER,
    -- JSON list of subnets.
    subnets    TEXT NOT NULL,
    purpose    TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    revision   INTEGER NOT NULL DEFAULT 1
) STRICT;

-- What others say of devices, each for a time.
CREATE TABLE context (
    device           TEXT NOT NULL,
    source           TEXT NOT NULL,
    user             TEXT,
    health           TEXT,
    location         TEXT,
    data_sensitivity TEXT,
    observed_us      INTEGER NOT NULL,
    expires_us       INTEGER NOT NULL,
    who              TEXT NOT NULL,
    PRIMARY KEY (device, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX context_by_expiry ON context (expires_us);

-- Idempotency-Keys are forgotten by age.
CREATE INDEX idempotency_by_created ON idempotency (created_us);

-- The person or department that answers for a device.
ALTER TABLE device ADD COLUMN owner TEXT;

-- Reconciliation looks for assets by what devices say of themselves.
CREATE INDEX asset_by_serial ON asset (lower(serial));
