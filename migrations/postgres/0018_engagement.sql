-- Agencies' own engagements with organisations. What they say is sealed, and erased with the incident.
CREATE TABLE engagement (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    since BIGINT NOT NULL,
    ended_at BIGINT,
    wrapped_key BYTEA NOT NULL,
    sealed BYTEA NOT NULL
);

CREATE INDEX engagement_holder ON engagement (holder, id);
CREATE INDEX engagement_incident ON engagement (incident_id);

-- To whom each was put. Whether it is seen now is decided whenever it is read.
CREATE TABLE engagement_put (
    recipient TEXT NOT NULL,
    engagement_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    put_at BIGINT NOT NULL,
    organisation_version BIGINT NOT NULL,
    PRIMARY KEY (recipient, engagement_id)
);

CREATE INDEX engagement_put_engagement ON engagement_put (engagement_id);

-- What organisations were asked; the words are sealed.
CREATE TABLE engagement_ask (
    engagement_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    asked_at BIGINT NOT NULL,
    urgent BIGINT NOT NULL,
    wrapped_key BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (engagement_id, number)
);
