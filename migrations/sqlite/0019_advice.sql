-- That an organisation was reminded of duties that it may have, or why it cannot be; that a reminder is due is computed and
-- not here. `given_at`, `channel`, `wording` and `digest` are those of a reminder that was given; words are sealed. All that is
-- here of an incident is deleted when it is erased.
CREATE TABLE reminder (
    incident_id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    version INTEGER NOT NULL,
    given_at INTEGER,
    channel TEXT,
    wording TEXT,
    digest BLOB,
    recorded_by TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

-- Incidents in the order in which they were registered.
CREATE INDEX incident_registered ON incident_revision (recorded_at, incident_id) WHERE revision = 1;

-- What was recommended to an organisation, what its holder believed of the incident, and what came of it. Words are sealed.
CREATE TABLE recommendation (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    clause TEXT NOT NULL,
    towards TEXT NOT NULL,
    belief TEXT,
    channel TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    recorded_by TEXT NOT NULL,
    version INTEGER NOT NULL,
    outcome TEXT,
    outcome_at INTEGER,
    wrapped_key BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE INDEX recommendation_holder ON recommendation (holder, id);

CREATE INDEX recommendation_incident ON recommendation (incident_id);

-- Which category an incident was given.
CREATE TABLE categorisation (
    incident_id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    category TEXT NOT NULL,
    version INTEGER NOT NULL,
    set_by TEXT NOT NULL,
    set_at INTEGER NOT NULL
) STRICT;
