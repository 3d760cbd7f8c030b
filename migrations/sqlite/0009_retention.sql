-- What an officer proposed to erase before its time is over, until another officer does it or the proposal is replaced.
CREATE TABLE erasure (
    incident_id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    ground TEXT NOT NULL,
    proposed_by TEXT NOT NULL,
    proposed_at INTEGER NOT NULL
) STRICT;

-- That a recipient disposed of what it was released. `release` is the id of the holder's event about that release.
CREATE TABLE disposal (
    release TEXT NOT NULL PRIMARY KEY,
    external_ref TEXT NOT NULL,
    confirmed_by TEXT NOT NULL,
    confirmed_at INTEGER NOT NULL
) STRICT;
