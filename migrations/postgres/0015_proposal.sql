-- What one agency puts to others for an answer. One data key for all that was said of a proposal: without it, that is
-- erased. `why` is sealed.
CREATE TABLE proposal (
    id TEXT NOT NULL PRIMARY KEY,
    opener TEXT NOT NULL,
    kind TEXT NOT NULL,
    incident_id TEXT,
    opened_at BIGINT NOT NULL,
    wrapped_key BYTEA,
    outcome TEXT,
    why BYTEA,
    concluded_by TEXT,
    concluded_at BIGINT,
    published_at BIGINT
);

CREATE INDEX proposal_opener ON proposal (opener, id);
CREATE INDEX proposal_incident ON proposal (incident_id);

-- A version of its text. `digest` binds what is answered to it.
CREATE TABLE proposal_text (
    proposal_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    written_by TEXT NOT NULL,
    PRIMARY KEY (proposal_id, version)
);

-- That a version was put to an agency, which sees nothing else of the proposal.
CREATE TABLE proposal_put (
    proposal_id TEXT NOT NULL,
    agency TEXT NOT NULL,
    version BIGINT NOT NULL,
    purpose TEXT,
    answer_by BIGINT NOT NULL,
    put_at BIGINT NOT NULL,
    PRIMARY KEY (proposal_id, agency, version)
);

CREATE INDEX proposal_put_agency ON proposal_put (agency, proposal_id);

-- What an agency answered; its last answer to a version counts.
CREATE TABLE proposal_answer (
    proposal_id TEXT NOT NULL,
    agency TEXT NOT NULL,
    number BIGINT NOT NULL,
    version BIGINT NOT NULL,
    answer TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    answered_at BIGINT NOT NULL,
    PRIMARY KEY (proposal_id, agency, number)
);

-- Messages between the opener and the agency, numbered for these two alone.
CREATE TABLE proposal_message (
    proposal_id TEXT NOT NULL,
    agency TEXT NOT NULL,
    number BIGINT NOT NULL,
    sender TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    attached_bytes BIGINT NOT NULL,
    sent_at BIGINT NOT NULL,
    PRIMARY KEY (proposal_id, agency, number)
);

CREATE TABLE proposal_attachment (
    proposal_id TEXT NOT NULL,
    agency TEXT NOT NULL,
    number BIGINT NOT NULL,
    place BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (proposal_id, agency, number, place)
);
