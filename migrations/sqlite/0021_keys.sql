-- With which secrets what is stored may be sealed: names, in the order in which they came into use; with `-` before it, one
-- with which nothing is sealed any more. `lasting_keys` are the keys that stay when secrets change, sealed with the newest;
-- NULL while they follow from the only secret. `signers` are the ids of the keys that sign the next checkpoint.
ALTER TABLE ledger_head ADD COLUMN secrets TEXT;
ALTER TABLE ledger_head ADD COLUMN lasting_keys BLOB;
ALTER TABLE ledger_head ADD COLUMN signers TEXT;

-- The keys that sign, or signed, the ledger. A key that was there from the ledger's beginning has no `from_at`.
CREATE TABLE ledger_key (
    verifier_key TEXT NOT NULL PRIMARY KEY,
    from_idx INTEGER NOT NULL,
    from_at INTEGER,
    until_at INTEGER,
    compromised_from INTEGER
) STRICT;

-- INVARIANT: entries are never changed, except that erasure takes away a key, or replaces it to leave only what a requester
-- that was given nothing may open; and that the same key is wrapped with a secret of another name (8 bytes; nonce, key and tag
-- are 60). They are never deleted.
DROP TRIGGER entry_never_changed;

CREATE TRIGGER entry_never_changed BEFORE UPDATE ON entry
WHEN NEW.idx <> OLD.idx OR NEW.kind <> OLD.kind OR NEW.at <> OLD.at OR NEW.leaf <> OLD.leaf
    OR NEW.hashes <> OLD.hashes
    OR (NEW.wrapped_key IS NOT NULL AND (
        OLD.wrapped_key IS NULL OR NEW.wrapped_key = OLD.wrapped_key
        OR NOT (
            (OLD.facts IS NOT NULL AND NEW.facts IS NULL AND NEW.openings <> OLD.openings)
            OR (NEW.openings = OLD.openings AND NEW.facts IS OLD.facts AND length(NEW.wrapped_key) = 68
                AND substr(NEW.wrapped_key, 1, 8) <> substr(OLD.wrapped_key, 1, 8))
        )
    ))
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;
