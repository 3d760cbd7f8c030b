-- Where each incident stands in the statistics of the quarter in which it was registered, sealed. Every sealed value is
-- as long as any other.
CREATE TABLE incident_statistic (
    incident_id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    organisation_id TEXT NOT NULL,
    quarter TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE INDEX incident_statistic_quarter ON incident_statistic (holder, quarter, incident_id);

-- What a holder published for a quarter: the rule, as JSON, and the tables, exactly as they are handed out. Once it is
-- here it is never computed again; `digest` is over the tables.
CREATE TABLE publication (
    holder TEXT NOT NULL,
    quarter TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    rule TEXT NOT NULL,
    digest BLOB NOT NULL,
    tables BLOB NOT NULL,
    PRIMARY KEY (holder, quarter)
) STRICT;
