-- How many entries the ledger had when an event was written: with it, what a reader has seen is told by two numbers.
ALTER TABLE event ADD COLUMN placed BIGINT NOT NULL DEFAULT 0;

-- The nudges, to be counted without reading every event. A statement must repeat the condition to use it.
CREATE INDEX event_nudge ON event (kind, agency, due_at)
WHERE acknowledged_at IS NULL AND kind IN
    ('authorisation-ends', 'consent-ends', 'duty-overdue', 'notice-unacknowledged', 'request-unanswered', 'review-due');
