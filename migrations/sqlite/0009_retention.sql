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

-- INVARIANT: entries are never changed, except that erasure takes away a key, or replaces it to leave only what a requester
-- that was given nothing may open; and never deleted.
DROP TRIGGER entry_never_changed;

CREATE TRIGGER entry_never_changed BEFORE UPDATE ON entry
WHEN NEW.idx <> OLD.idx OR NEW.kind <> OLD.kind OR NEW.at <> OLD.at OR NEW.leaf <> OLD.leaf
    OR NEW.hashes <> OLD.hashes
    OR (NEW.wrapped_key IS NOT NULL AND (
        OLD.wrapped_key IS NULL OR OLD.facts IS NULL OR NEW.facts IS NOT NULL
        OR NEW.wrapped_key = OLD.wrapped_key OR NEW.openings = OLD.openings
    ))
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;
