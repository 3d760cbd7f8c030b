-- How an incident came to its holder, and the upstream agencies' permissions that were shown for it, both as JSON: they
-- are read with the row, so that an ask costs as much whether there are any or not. No amendment touches the provenance.
ALTER TABLE incident ADD COLUMN provenance TEXT;

ALTER TABLE incident ADD COLUMN permissions TEXT;

-- What was asked of the agencies whose records this node holds: may it be passed on?
CREATE TABLE permission (
    id TEXT NOT NULL PRIMARY KEY,
    upstream TEXT NOT NULL,
    holder TEXT NOT NULL,
    unit TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    reference TEXT NOT NULL,
    passage TEXT NOT NULL,
    recipient TEXT NOT NULL,
    purpose TEXT NOT NULL,
    categories TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    permitted TEXT,
    valid_until INTEGER,
    declined_at INTEGER,
    withdrawn_at INTEGER
) STRICT;

CREATE INDEX permission_upstream ON permission (upstream, id);

CREATE INDEX permission_reference ON permission (reference);

-- For which incidents this node was shown a permission: a row for each; and one without an incident once it was told that
-- the permission is withdrawn, whether it was shown or not. The permission is the upstream agency and its id for it.
CREATE TABLE permission_shown (
    permission TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    withdrawn_at INTEGER,
    PRIMARY KEY (permission, incident_id)
) STRICT;

CREATE INDEX permission_shown_incident ON permission_shown (incident_id);
