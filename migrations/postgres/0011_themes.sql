-- A holder's systemic themes. Versions are never changed but to be confirmed, once.
CREATE TABLE theme (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    withdrawn_at BIGINT,
    withdrawn_by TEXT
);

CREATE INDEX theme_holder ON theme (holder, id);

-- What a version says is sealed. `threshold` and `largest_share` are those that held when it was confirmed; `digest` is
-- over the message that recipients get.
CREATE TABLE theme_version (
    theme_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    wrapped_key BYTEA,
    sealed BYTEA NOT NULL,
    drafted_by TEXT NOT NULL,
    drafted_at BIGINT NOT NULL,
    confirmed_by TEXT,
    confirmed_at BIGINT,
    threshold BIGINT,
    largest_share BIGINT,
    digest BYTEA,
    PRIMARY KEY (theme_id, version)
);

-- What a version rests on. Never released.
CREATE TABLE theme_incident (
    theme_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    incident_id TEXT NOT NULL,
    PRIMARY KEY (theme_id, version, incident_id)
);

-- The agencies that it was shared with, in any version.
CREATE TABLE theme_recipient (
    theme_id TEXT NOT NULL,
    agency TEXT NOT NULL,
    PRIMARY KEY (theme_id, agency)
);
