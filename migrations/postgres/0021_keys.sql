-- With which secrets what is stored may be sealed: names, in the order in which they came into use; with `-` before it, one
-- with which nothing is sealed any more. `lasting_keys` are the keys that stay when secrets change, sealed with the newest;
-- NULL while they follow from the only secret. `signers` are the ids of the keys that sign the next checkpoint.
ALTER TABLE ledger_head ADD COLUMN secrets TEXT;
ALTER TABLE ledger_head ADD COLUMN lasting_keys BYTEA;
ALTER TABLE ledger_head ADD COLUMN signers TEXT;

-- The keys that sign, or signed, the ledger. A key that was there from the ledger's beginning has no `from_at`.
CREATE TABLE ledger_key (
    verifier_key TEXT NOT NULL PRIMARY KEY,
    from_idx BIGINT NOT NULL,
    from_at BIGINT,
    until_at BIGINT,
    compromised_from BIGINT
);

-- INVARIANT: entries are never changed, except that erasure takes away a key, or replaces it to leave only what a requester
-- that was given nothing may open; and that the same key is wrapped with a secret of another name (8 bytes; nonce, key and tag
-- are 60). They are never deleted.
CREATE OR REPLACE FUNCTION entry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.idx = OLD.idx AND NEW.kind = OLD.kind AND NEW.at = OLD.at AND NEW.leaf = OLD.leaf
        AND NEW.hashes = OLD.hashes
        AND (NEW.wrapped_key IS NULL OR (
            OLD.wrapped_key IS NOT NULL AND NEW.wrapped_key <> OLD.wrapped_key AND (
                (OLD.facts IS NOT NULL AND NEW.facts IS NULL AND NEW.openings <> OLD.openings)
                OR (NEW.openings = OLD.openings AND NEW.facts IS NOT DISTINCT FROM OLD.facts AND length(NEW.wrapped_key) = 68
                    AND substr(NEW.wrapped_key, 1, 8) <> substr(OLD.wrapped_key, 1, 8))
            )
        )) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only';
END
$$;
