-- What a release reads and writes, in fewer rows and fewer trees.

-- The commitment to each category of a revision, in the row that a decision reads anyway (a JSON object, in hexadecimal).
ALTER TABLE incident_revision ADD COLUMN categories TEXT NOT NULL DEFAULT '{}';

UPDATE incident_revision SET categories = COALESCE((
    SELECT json_object_agg(c.category, encode(c.commitment, 'hex'))::text FROM incident_category c
    WHERE c.incident_id = incident_revision.incident_id AND c.revision = incident_revision.revision
), '{}');

ALTER TABLE incident_category DROP COLUMN commitment;

-- Nothing asks for the releases about a record: those events need no place in this index. A statement must repeat the
-- condition to use it.
DROP INDEX event_object;

CREATE INDEX event_object ON event (object) WHERE kind NOT IN ('release-made', 'release-received');
