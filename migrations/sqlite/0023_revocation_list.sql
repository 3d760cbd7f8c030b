-- The last revocation list of each authority that any replica had in place: an earlier one is not believed again. `authority`
-- is SHA-256 over its key, `number` the list's in 20 octets, big-endian, so that they compare as numbers do.
CREATE TABLE revocation_list (
    agency TEXT NOT NULL,
    authority BLOB NOT NULL,
    number BLOB NOT NULL,
    this_update INTEGER NOT NULL,
    PRIMARY KEY (agency, authority)
) STRICT;
