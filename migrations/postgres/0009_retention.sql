-- What an officer proposed to erase before its time is over, until another officer does it or the proposal is replaced.
CREATE TABLE erasure (
    incident_id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    ground TEXT NOT NULL,
    proposed_by TEXT NOT NULL,
    proposed_at BIGINT NOT NULL
);

-- That a recipient disposed of what it was released. `release` is the id of the holder's event about that release.
CREATE TABLE disposal (
    release TEXT NOT NULL PRIMARY KEY,
    external_ref TEXT NOT NULL,
    confirmed_by TEXT NOT NULL,
    confirmed_at BIGINT NOT NULL
);

-- INVARIANT: entries are never changed, except that erasure takes away a key, or replaces it to leave only what a requester
-- that was given nothing may open; and never deleted.
CREATE OR REPLACE FUNCTION entry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.idx = OLD.idx AND NEW.kind = OLD.kind AND NEW.at = OLD.at AND NEW.leaf = OLD.leaf
        AND NEW.hashes = OLD.hashes
        AND (NEW.wrapped_key IS NULL OR (
            OLD.wrapped_key IS NOT NULL AND OLD.facts IS NOT NULL AND NEW.facts IS NULL
            AND NEW.wrapped_key <> OLD.wrapped_key AND NEW.openings <> OLD.openings
        )) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only';
END
$$;
