-- Who may speak for an organisation. Agent, acts and evidence are sealed; without `wrapped_key` they are erased, and the
-- mandate doesn't stand.
CREATE TABLE mandate (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    organisation_id TEXT NOT NULL,
    wrapped_key BLOB,
    sealed BLOB NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    recorded_by TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;

CREATE INDEX mandate_holder ON mandate (holder, id);

CREATE INDEX mandate_organisation ON mandate (organisation_id);
