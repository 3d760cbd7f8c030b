-- Who may speak for an organisation. Agent, acts and evidence are sealed; without `wrapped_key` they are erased, and the
-- mandate doesn't stand.
CREATE TABLE mandate (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    organisation_id TEXT NOT NULL,
    wrapped_key BYTEA,
    sealed BYTEA NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    recorded_by TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    ended_at BIGINT
);

CREATE INDEX mandate_holder ON mandate (holder, id);

CREATE INDEX mandate_organisation ON mandate (organisation_id);
