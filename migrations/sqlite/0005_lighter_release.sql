-- What a release reads and writes, in fewer rows and fewer trees.

-- The commitment to each category of a revision, in the row that a decision reads anyway (a JSON object, in hexadecimal).
ALTER TABLE incident_revision ADD COLUMN categories TEXT NOT NULL DEFAULT '{}';

UPDATE incident_revision SET categories = (
    SELECT json_group_object(c.category, lower(hex(c.commitment))) FROM incident_category c
    WHERE c.incident_id = incident_revision.incident_id AND c.revision = incident_revision.revision
);

ALTER TABLE incident_category DROP COLUMN commitment;

-- Nothing asks for the releases about a record: those events need no place in this index. A statement must repeat the
-- condition to use it.
DROP INDEX event_object;

-- A table whose key is a text is kept in that key's order, without a second tree for the key.
CREATE TABLE event_2 (
    id TEXT NOT NULL PRIMARY KEY,
    agency TEXT NOT NULL,
    kind TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL,
    acknowledged_at INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO event_2 (id, agency, kind, due_at, object, detail, acknowledged_at)
SELECT id, agency, kind, due_at, object, detail, acknowledged_at FROM event;

DROP TABLE event;

ALTER TABLE event_2 RENAME TO event;

CREATE INDEX event_agency ON event (agency, due_at, id);

CREATE INDEX event_object ON event (object) WHERE kind NOT IN ('release-made', 'release-received');

CREATE TABLE entry_party_2 (
    agency TEXT NOT NULL,
    idx INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    PRIMARY KEY (agency, idx)
) STRICT, WITHOUT ROWID;

INSERT INTO entry_party_2 (agency, idx, slots) SELECT agency, idx, slots FROM entry_party;

DROP TABLE entry_party;

ALTER TABLE entry_party_2 RENAME TO entry_party;

CREATE TABLE call_2 (
    key TEXT NOT NULL PRIMARY KEY,
    digest BLOB NOT NULL,
    idx INTEGER NOT NULL,
    object TEXT NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    answer TEXT
) STRICT, WITHOUT ROWID;

INSERT INTO call_2 (key, digest, idx, object, version, at, answer)
SELECT key, digest, idx, object, version, at, answer FROM call;

DROP TABLE call;

ALTER TABLE call_2 RENAME TO call;

CREATE INDEX call_object ON call (object);
