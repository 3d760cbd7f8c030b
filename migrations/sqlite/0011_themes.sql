-- A holder's systemic themes. Versions are never changed but to be confirmed, once.
CREATE TABLE theme (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    withdrawn_at INTEGER,
    withdrawn_by TEXT
) STRICT;

CREATE INDEX theme_holder ON theme (holder, id);

-- What a version says is sealed. `threshold` and `largest_share` are those that held when it was confirmed; `digest` is
-- over the message that recipients get.
CREATE TABLE theme_version (
    theme_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    wrapped_key BLOB,
    sealed BLOB NOT NULL,
    drafted_by TEXT NOT NULL,
    drafted_at INTEGER NOT NULL,
    confirmed_by TEXT,
    confirmed_at INTEGER,
    threshold INTEGER,
    largest_share INTEGER,
    digest BLOB,
    PRIMARY KEY (theme_id, version)
) STRICT;

-- What a version rests on. Never released.
CREATE TABLE theme_incident (
    theme_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    incident_id TEXT NOT NULL,
    PRIMARY KEY (theme_id, version, incident_id)
) STRICT;

-- The agencies that it was shared with, in any version.
CREATE TABLE theme_recipient (
    theme_id TEXT NOT NULL,
    agency TEXT NOT NULL,
    PRIMARY KEY (theme_id, agency)
) STRICT;
