-- The register of organisations: names and groups to find candidates by, and mergers.

-- What it was merged into and when; and when the register last recorded a merger of it or of what it had been merged
-- into, which never goes back. A consent confirmed no later than that permits nothing.
ALTER TABLE organisation ADD COLUMN merged_into TEXT;

ALTER TABLE organisation ADD COLUMN merged_at BIGINT;

ALTER TABLE organisation ADD COLUMN merger_recorded_at BIGINT;

CREATE INDEX organisation_merged_into ON organisation (merged_into);

-- Names are found by a keyed hash of their compared form; the names themselves are in the sealed record only.
CREATE TABLE organisation_name (
    organisation_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    lookup TEXT NOT NULL,
    PRIMARY KEY (organisation_id, kind, lookup)
);

CREATE INDEX organisation_name_lookup ON organisation_name (lookup);

-- Groups. When a link held is in the sealed record only.
CREATE TABLE organisation_parent (
    organisation_id TEXT NOT NULL,
    parent_id TEXT NOT NULL,
    PRIMARY KEY (organisation_id, parent_id)
);

CREATE INDEX organisation_parent_parent ON organisation_parent (parent_id);

-- When what the organisation itself said was last written down: a narrowed version keeps the time of the one before.
ALTER TABLE consent ADD COLUMN confirmed_at BIGINT NOT NULL DEFAULT 0;

UPDATE consent SET confirmed_at = recorded_at;
