-- A document is put without a time by which it is answered. SQLite cannot take NOT NULL from a column.
CREATE TABLE proposal_put_anew (
    proposal_id TEXT NOT NULL,
    agency TEXT NOT NULL,
    version INTEGER NOT NULL,
    purpose TEXT,
    answer_by INTEGER,
    put_at INTEGER NOT NULL,
    PRIMARY KEY (proposal_id, agency, version)
) STRICT;

INSERT INTO proposal_put_anew (proposal_id, agency, version, purpose, answer_by, put_at)
SELECT proposal_id, agency, version, purpose, answer_by, put_at FROM proposal_put;

DROP TABLE proposal_put;
ALTER TABLE proposal_put_anew RENAME TO proposal_put;

CREATE INDEX proposal_put_agency ON proposal_put (agency, proposal_id);
