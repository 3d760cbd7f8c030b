-- Help that an agency offered to an organisation of its register, and what the organisation said to it. No free text.
CREATE TABLE help_offer (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    organisation_id TEXT NOT NULL,
    help TEXT NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    offered_at INTEGER NOT NULL,
    answered_at INTEGER
) STRICT;

CREATE UNIQUE INDEX help_offer_organisation ON help_offer (organisation_id, help);

CREATE INDEX help_offer_holder ON help_offer (holder, id);
