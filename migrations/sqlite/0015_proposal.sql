-- What one agency puts to others for an answer. One data key for all that was said of a proposal: without it, that is
-- erased. `why` is sealed.
CREATE TABLE proposal (
    id TEXT NOT NULL PRIMARY KEY,
    opener TEXT NOT NULL,
    kind TEXT NOT NULL,
    incident_id TEXT,
    opened_at INTEGER NOT NULL,
    wrapped_key BLOB,
    outcome TEXT,
    why BLOB,
    concluded_by TEXT,
    concluded_at INTEGER,
    published_at INTEGER
) STRICT;

CREATE INDEX proposal_opener ON proposal (opener, id);
CREATE INDEX proposal_incident ON proposal (incident_id);

-- A version of its text. `digest` binds what is answered to it.
CREATE TABLE proposal_text (
    proposal_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    digest BLOB NOT NULL,
    written_by TEXT NOT NULL,
    PRIMARY KEY (proposal_id, version)
) STRICT;

-- That a version was put to an agency, which sees nothing else of the proposal.
CREATE TABLE proposal_put (
    proposal_id TEXT NOT NULL,
    agency TEXT NOT NULL,
    version INTEGER NOT NULL,
    purpose TEXT,
    answer_by INTEGER NOT NULL,
    put_at INTEGER NOT NULL,
    PRIMARY KEY (proposal_id, agency, version)
) STRICT;

CREATE INDEX proposal_put_agency ON proposal_put (agency, proposal_id);

-- What an agency answered; its last answer to a version counts.
CREATE TABLE proposal_answer (
    proposal_id TEXT NOT NULL,
    agency TEXT NOT NULL,
    number INTEGER NOT NULL,
    version INTEGER NOT NULL,
    answer TEXT NOT NULL,
    sealed BLOB NOT NULL,
    answered_at INTEGER NOT NULL,
    PRIMARY KEY (proposal_id, agency, number)
) STRICT;

-- Messages between the opener and the agency, numbered for these two alone.
CREATE TABLE proposal_message (
    proposal_id TEXT NOT NULL,
    agency TEXT NOT NULL,
    number INTEGER NOT NULL,
    sender TEXT NOT NULL,
    sealed BLOB NOT NULL,
    attached_bytes INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    PRIMARY KEY (proposal_id, agency, number)
) STRICT;

CREATE TABLE proposal_attachment (
    proposal_id TEXT NOT NULL,
    agency TEXT NOT NULL,
    number INTEGER NOT NULL,
    place INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (proposal_id, agency, number, place)
) STRICT;
