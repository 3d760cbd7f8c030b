-- Requests as their holder's officers meet them, events, and obligations.

ALTER TABLE request ADD COLUMN urgency TEXT NOT NULL DEFAULT 'routine';

-- The officer who put it, as far as another agency may know.
ALTER TABLE request ADD COLUMN unit TEXT NOT NULL DEFAULT '';

ALTER TABLE request ADD COLUMN pseudonym TEXT NOT NULL DEFAULT '';

ALTER TABLE request ADD COLUMN offered_at INTEGER;

ALTER TABLE request ADD COLUMN declined_at INTEGER;

-- The keyed hashes of what a covered request names, so that a record that comes later finds it.
CREATE TABLE request_identifier (
    lookup TEXT NOT NULL,
    request_id TEXT NOT NULL,
    PRIMARY KEY (lookup, request_id)
) STRICT;

-- What an agency should look at, from `due_at` on. A request that matches nothing has an event as well, of the agency
-- `-`, so that an ask writes the same whether anything is held or not.
CREATE TABLE event (
    id TEXT NOT NULL PRIMARY KEY,
    agency TEXT NOT NULL,
    kind TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL,
    acknowledged_at INTEGER
) STRICT;

CREATE INDEX event_agency ON event (agency, due_at, id);

CREATE INDEX event_object ON event (object);

-- What an agency must let another have.
CREATE TABLE obligation (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    recipient TEXT NOT NULL,
    clause TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    arose_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    offered_at INTEGER,
    done_at INTEGER
) STRICT;

CREATE INDEX obligation_holder ON obligation (holder, id);

CREATE UNIQUE INDEX obligation_incident ON obligation (incident_id, clause);

-- The preview that an authorisation is bound to.
ALTER TABLE authorisation ADD COLUMN preview BLOB;
