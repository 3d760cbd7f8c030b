-- What left: releases, and disclosures made elsewhere that an officer recorded. Releases of the same on the same terms are
-- one row, whose `idx` is the entry of the first; `terms` is the rest of what notices are decided by (a JSON object).
CREATE TABLE disclosure (
    incident_id TEXT NOT NULL,
    id TEXT NOT NULL,
    holder TEXT NOT NULL,
    recipient TEXT NOT NULL,
    idx INTEGER,
    revision INTEGER NOT NULL,
    disclosed_at INTEGER NOT NULL,
    consent_id TEXT,
    terms TEXT NOT NULL,
    PRIMARY KEY (incident_id, id)
) STRICT, WITHOUT ROWID;

-- A release is found by its incident. A statement must repeat the condition to use this.
CREATE INDEX disclosure_elsewhere ON disclosure (id) WHERE idx IS NULL;

-- A consent has to be found by what relied on it even when the incident is erased, and with it the link to its organisation.
CREATE INDEX disclosure_consent ON disclosure (consent_id) WHERE consent_id IS NOT NULL;

-- What enforcement and passing on it permitted was not kept by earlier releases: taken to be permitted, so that a consent
-- that is narrowed tells one recipient too many rather than one too few.
INSERT INTO disclosure (incident_id, id, holder, recipient, idx, revision, disclosed_at, consent_id, terms)
SELECT
    b.value ->> 'incident', 'rel_' || c.idx, r.holder, r.requester, c.idx, b.value ->> 'revision', c.at,
    b.value ->> '$.consent[0]',
    json_object(
        'purpose', r.purpose, 'enforcement', json('true'), 'onward', json('true'), 'categories', b.value -> 'categories', 'clauses', b.value -> 'clauses',
        'consent', b.value -> 'consent', 'authorisation', b.value ->> 'authorisation',
        'reference', (
            SELECT MIN(f.reference) FROM reference f
            WHERE f.incident_id = b.value ->> 'incident' AND f.recipient = r.requester
        )
    )
FROM call c JOIN request r ON r.id = c.object,
    json_each(CASE WHEN c.answer LIKE '{"outcome":"released"%' THEN c.answer ELSE '{}' END, '$.basis') b;

-- Whom a holder's agency told to stop, to correct or to give back. `cause` is for the holder alone; `outcome` is what the
-- last acknowledgement said; `by_hand` where the recipient has no system here.
CREATE TABLE notice (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    recipient TEXT NOT NULL,
    kind TEXT NOT NULL,
    cause TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    disclosure_id TEXT NOT NULL,
    by_hand INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    outcome TEXT
) STRICT;

CREATE INDEX notice_holder ON notice (holder, id);

CREATE INDEX notice_recipient ON notice (recipient, id);

CREATE UNIQUE INDEX notice_once ON notice (incident_id, disclosure_id, kind, cause);

CREATE INDEX notice_due ON notice (due_at, id) WHERE outcome IS NULL;

-- Each time that a recipient said what it did; the reason and the agencies that it passed copies to are sealed.
CREATE TABLE notice_acknowledgement (
    notice_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    acknowledged_at INTEGER NOT NULL,
    wrapped_key BLOB,
    sealed BLOB NOT NULL,
    PRIMARY KEY (notice_id, version)
) STRICT;

-- Wrongful releases. `closing` is sealed: the reason given for closing.
CREATE TABLE wrongful_release (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    cause TEXT NOT NULL,
    reported_by TEXT NOT NULL,
    reported_at INTEGER NOT NULL,
    aware_at INTEGER NOT NULL,
    closed_at INTEGER,
    lifted_at INTEGER,
    wrapped_key BLOB,
    closing BLOB
) STRICT;

CREATE INDEX wrongful_release_holder ON wrongful_release (holder, id);

-- What was disclosed wrongly.
CREATE TABLE wrongful_disclosure (
    wrongful_release_id TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    disclosure_id TEXT NOT NULL,
    PRIMARY KEY (wrongful_release_id, incident_id, disclosure_id)
) STRICT;

-- To whom an incident may not be released for now, by what and since when (a JSON object of objects). Decisions read it
-- with the row.
ALTER TABLE incident ADD COLUMN frozen TEXT;
