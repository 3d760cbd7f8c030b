-- Text ids, 64-bit integers (counts, microseconds since 1970 UTC), bytes. The same tables stand in
-- migrations/sqlite; a test compares the two.

-- The one row that every writer locks first. `frontier` is the right edge of the tree: the roots of its complete
-- subtrees from the left, 32 bytes each, so that an append reads nothing else. `secret_check` shows
-- that a node has the secret with which the records were sealed.
CREATE TABLE ledger_head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    size BIGINT NOT NULL,
    at BIGINT NOT NULL,
    frontier BYTEA NOT NULL,
    secret_check TEXT
);

INSERT INTO ledger_head (id, size, at, frontier) VALUES (1, 0, 0, ''::bytea);

-- Signed checkpoints, one for each batch.
CREATE TABLE checkpoint (
    size BIGINT NOT NULL PRIMARY KEY,
    note TEXT NOT NULL
);

-- The ledger. `leaf` is stored and hashed as it is; `hashes` are the tree hashes that this entry completed.
-- Without `wrapped_key` the openings and the facts are erased, while leaf and hashes still verify.
CREATE TABLE entry (
    idx BIGINT NOT NULL PRIMARY KEY,
    kind BIGINT NOT NULL,
    at BIGINT NOT NULL,
    leaf BYTEA NOT NULL,
    hashes BYTEA NOT NULL,
    wrapped_key BYTEA,
    openings BYTEA NOT NULL,
    facts BYTEA
);

-- Which agency may open which slots of which entry.
CREATE TABLE entry_party (
    agency TEXT NOT NULL,
    idx BIGINT NOT NULL,
    slots BIGINT NOT NULL,
    PRIMARY KEY (agency, idx)
);

-- Each call that was done, once. `answer` is what an ask came to.
CREATE TABLE call (
    key TEXT NOT NULL PRIMARY KEY,
    digest BYTEA NOT NULL,
    idx BIGINT NOT NULL,
    object TEXT NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    answer TEXT
);

CREATE INDEX call_object ON call (object);

-- The exact text of every agreement that was ever activated. No text is ever deleted.
CREATE TABLE agreement_text (
    digest BYTEA NOT NULL PRIMARY KEY,
    text BYTEA NOT NULL
);

CREATE TABLE agreement (
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    state TEXT NOT NULL,
    activated_at BIGINT NOT NULL,
    PRIMARY KEY (id, version)
);

CREATE UNIQUE INDEX agreement_in_force ON agreement (id) WHERE state = 'in-force';

CREATE TABLE organisation (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    version BIGINT NOT NULL,
    wrapped_key BYTEA,
    sealed BYTEA NOT NULL
);

CREATE INDEX organisation_holder ON organisation (holder, id);

-- Identifiers are found by a keyed hash; the identifier itself is in the sealed record only.
CREATE TABLE organisation_identifier (
    lookup TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    organisation_id TEXT NOT NULL
);

CREATE INDEX organisation_identifier_organisation ON organisation_identifier (organisation_id);

CREATE TABLE incident (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    organisation_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    occurred_from BIGINT NOT NULL,
    occurred_until BIGINT NOT NULL,
    markings TEXT NOT NULL,
    notification TEXT,
    campaign TEXT,
    retain_until BIGINT NOT NULL,
    erased_at BIGINT
);

CREATE INDEX incident_holder ON incident (holder, id);

CREATE INDEX incident_organisation ON incident (organisation_id);

-- The key of a revision's content. Without it the content is erased.
CREATE TABLE incident_revision (
    incident_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    wrapped_key BYTEA,
    recorded_by TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (incident_id, revision)
);

CREATE TABLE incident_category (
    incident_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    category TEXT NOT NULL,
    commitment BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (incident_id, revision, category)
);

CREATE TABLE reference (
    reference TEXT NOT NULL PRIMARY KEY,
    incident_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    recipient TEXT NOT NULL,
    issued_at BIGINT NOT NULL
);

CREATE INDEX reference_incident ON reference (incident_id, recipient);

CREATE TABLE consent (
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    holder TEXT NOT NULL,
    organisation_id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    state TEXT NOT NULL,
    scope TEXT,
    wrapped_key BYTEA,
    evidence BYTEA,
    recorded_by TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (id, version)
);

CREATE INDEX consent_organisation ON consent (organisation_id);

CREATE INDEX consent_holder ON consent (holder, id);

CREATE TABLE authorisation (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    revision BIGINT NOT NULL,
    covers_updates BIGINT NOT NULL,
    purposes TEXT NOT NULL,
    categories TEXT NOT NULL,
    ground TEXT NOT NULL,
    given_by TEXT NOT NULL,
    given_at BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE INDEX authorisation_incident ON authorisation (incident_id);

CREATE INDEX authorisation_holder ON authorisation (holder, id);

-- Questions to a holder. What they are about is sealed.
CREATE TABLE request (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    requester TEXT NOT NULL,
    purpose TEXT NOT NULL,
    form TEXT NOT NULL,
    categories TEXT NOT NULL,
    wrapped_key BYTEA,
    subject BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    open_until BIGINT NOT NULL
);

CREATE INDEX request_requester ON request (requester, id);

-- INVARIANT: entries are never changed, except that erasure takes away a key, and never deleted.
CREATE FUNCTION entry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.idx = OLD.idx AND NEW.kind = OLD.kind AND NEW.at = OLD.at AND NEW.leaf = OLD.leaf
        AND NEW.hashes = OLD.hashes AND NEW.wrapped_key IS NULL THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only';
END
$$;

CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE ON entry
FOR EACH ROW EXECUTE FUNCTION entry_is_append_only();

-- A row's trigger does not see its table emptied. SQLite has no such statement.
CREATE TRIGGER entry_never_emptied BEFORE TRUNCATE ON entry
FOR EACH STATEMENT EXECUTE FUNCTION entry_is_append_only();
