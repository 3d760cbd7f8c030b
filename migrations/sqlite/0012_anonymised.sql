-- The form in which an officer decided to disclose.
ALTER TABLE authorisation ADD COLUMN form TEXT NOT NULL DEFAULT 'organisation-specific';

-- The looks in which anonymised records come out: worked out once, with the publication of this quarter. A look is a
-- keyed hash of holder, period, step and values, so that it can be found and not read.
CREATE TABLE anonymised_look (
    look TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    quarter TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX anonymised_look_quarter ON anonymised_look (holder, quarter);
