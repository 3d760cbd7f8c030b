-- Text ids, 64-bit integers (counts, microseconds since 1970 UTC), bytes. The same tables stand in
-- migrations/postgres; a test compares the two.

-- The one row that every writer locks first. `frontier` is the right edge of the tree: the roots of its complete
-- subtrees from the left, 32 bytes each, so that an append reads nothing else. `secret_check` shows
-- that a node has the secret with which the records were sealed.
CREATE TABLE ledger_head (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL,
    at INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    secret_check TEXT
) STRICT;

INSERT INTO ledger_head (id, size, at, frontier) VALUES (1, 0, 0, x'');

-- Signed checkpoints, one for each batch.
CREATE TABLE checkpoint (
    size INTEGER NOT NULL PRIMARY KEY,
    note TEXT NOT NULL
) STRICT;

-- The ledger. `leaf` is stored and hashed as it is; `hashes` are the tree hashes that this entry completed.
-- Without `wrapped_key` the openings and the facts are erased, while leaf and hashes still verify.
CREATE TABLE entry (
    idx INTEGER NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    hashes BLOB NOT NULL,
    wrapped_key BLOB,
    openings BLOB NOT NULL,
    facts BLOB
) STRICT;

-- Which agency may open which slots of which entry.
CREATE TABLE entry_party (
    agency TEXT NOT NULL,
    idx INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    PRIMARY KEY (agency, idx)
) STRICT;

-- Each call that was done, once. `answer` is what an ask came to.
CREATE TABLE call (
    key TEXT NOT NULL PRIMARY KEY,
    digest BLOB NOT NULL,
    idx INTEGER NOT NULL,
    object TEXT NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    answer TEXT
) STRICT;

CREATE INDEX call_object ON call (object);

-- The exact text of every agreement that was ever activated. No text is ever deleted.
CREATE TABLE agreement_text (
    digest BLOB NOT NULL PRIMARY KEY,
    text BLOB NOT NULL
) STRICT;

CREATE TABLE agreement (
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL,
    activated_at INTEGER NOT NULL,
    PRIMARY KEY (id, version)
) STRICT;

CREATE UNIQUE INDEX agreement_in_force ON agreement (id) WHERE state = 'in-force';

CREATE TABLE organisation (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    version INTEGER NOT NULL,
    wrapped_key BLOB,
    sealed BLOB NOT NULL
) STRICT;

CREATE INDEX organisation_holder ON organisation (holder, id);

-- Identifiers are found by a keyed hash; the identifier itself is in the sealed record only.
CREATE TABLE organisation_identifier (
    lookup TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    organisation_id TEXT NOT NULL
) STRICT;

CREATE INDEX organisation_identifier_organisation ON organisation_identifier (organisation_id);

CREATE TABLE incident (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    organisation_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    occurred_from INTEGER NOT NULL,
    occurred_until INTEGER NOT NULL,
    markings TEXT NOT NULL,
    notification TEXT,
    campaign TEXT,
    retain_until INTEGER NOT NULL,
    erased_at INTEGER
) STRICT;

CREATE INDEX incident_holder ON incident (holder, id);

CREATE INDEX incident_organisation ON incident (organisation_id);

-- The key of a revision's content. Without it the content is erased.
CREATE TABLE incident_revision (
    incident_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    wrapped_key BLOB,
    recorded_by TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (incident_id, revision)
) STRICT;

CREATE TABLE incident_category (
    incident_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    category TEXT NOT NULL,
    commitment BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (incident_id, revision, category)
) STRICT;

CREATE TABLE reference (
    reference TEXT NOT NULL PRIMARY KEY,
    incident_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    recipient TEXT NOT NULL,
    issued_at INTEGER NOT NULL
) STRICT;

CREATE INDEX reference_incident ON reference (incident_id, recipient);

CREATE TABLE consent (
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    holder TEXT NOT NULL,
    organisation_id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    state TEXT NOT NULL,
    scope TEXT,
    wrapped_key BLOB,
    evidence BLOB,
    recorded_by TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (id, version)
) STRICT;

CREATE INDEX consent_organisation ON consent (organisation_id);

CREATE INDEX consent_holder ON consent (holder, id);

CREATE TABLE authorisation (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    revision INTEGER NOT NULL,
    covers_updates INTEGER NOT NULL,
    purposes TEXT NOT NULL,
    categories TEXT NOT NULL,
    ground TEXT NOT NULL,
    given_by TEXT NOT NULL,
    given_at INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

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
    wrapped_key BLOB,
    subject BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    open_until INTEGER NOT NULL
) STRICT;

CREATE INDEX request_requester ON request (requester, id);

-- INVARIANT: entries are never changed, except that erasure takes away a key, and never deleted.
CREATE TRIGGER entry_never_deleted BEFORE DELETE ON entry
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER entry_never_changed BEFORE UPDATE ON entry
WHEN NEW.idx <> OLD.idx OR NEW.kind <> OLD.kind OR NEW.at <> OLD.at OR NEW.leaf <> OLD.leaf
    OR NEW.hashes <> OLD.hashes OR NEW.wrapped_key IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;
