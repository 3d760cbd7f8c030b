//! Engagements: to whom they were put, and what organisations were asked.

use super::Sql;

statements! {
    ENGAGEMENT = both (
        "SELECT id, holder, incident_id, since, ended_at, wrapped_key, sealed FROM engagement
         WHERE holder = $1 AND id = $2"
    );
    ENGAGEMENTS_OF = both ("SELECT id FROM engagement WHERE incident_id = $1 AND ended_at IS NULL");
    // The agency's own, and what was put to it.
    ENGAGEMENTS_FOR = both (
        "SELECT id, holder, incident_id, since, ended_at, wrapped_key, sealed FROM engagement
         WHERE ended_at IS NULL
           AND (holder = $1 OR id IN (SELECT engagement_id FROM engagement_put WHERE recipient = $1))
         ORDER BY id"
    );
    ENGAGEMENT_PUTS = set (
        "SELECT engagement_id, recipient, purpose, put_at, organisation_version FROM engagement_put WHERE engagement_id",
        " ORDER BY engagement_id, recipient"
    );
    ENGAGEMENT_ASKS = set (
        "SELECT engagement_id, number, asked_at, urgent, wrapped_key, sealed FROM engagement_ask WHERE engagement_id",
        " ORDER BY engagement_id, asked_at DESC, number DESC"
    );
    COUNT_ENGAGEMENT_ASKS = both ("SELECT COUNT(*) FROM engagement_ask WHERE engagement_id = $1");
    AMEND_ENGAGEMENT = both (
        "UPDATE engagement SET wrapped_key = $1, sealed = $2 WHERE id = $3 AND ended_at IS NULL"
    );
    END_ENGAGEMENT = both ("UPDATE engagement SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL");
    PUT_ENGAGEMENT_AGAIN = both (
        "UPDATE engagement_put SET purpose = $1, put_at = $2, organisation_version = $3
         WHERE recipient = $4 AND engagement_id = $5"
    );
    DROP_EVENTS_OF_PUT = both ("DELETE FROM event WHERE kind = 'engagement' AND object = $1 AND agency = $2");
    // What was decided of letting others see them: it was decided on what is erased. 22 is ENTRY_KIND_EXISTENCE.
    ENTRIES_OF_ENGAGEMENTS = both (
        "SELECT c.idx FROM engagement e JOIN call c ON c.object = e.id JOIN entry n ON n.idx = c.idx
         WHERE e.incident_id = $1 AND n.kind = 22"
    );
    ERASE_ENGAGEMENT_ASKS = both (
        "DELETE FROM engagement_ask WHERE engagement_id IN (SELECT id FROM engagement WHERE incident_id = $1)"
    );
    ERASE_ENGAGEMENT_PUTS = both (
        "DELETE FROM engagement_put WHERE engagement_id IN (SELECT id FROM engagement WHERE incident_id = $1)"
    );
    DROP_EVENTS_OF_ENGAGEMENTS = both (
        "DELETE FROM event WHERE kind NOT IN ('release-made', 'release-received')
           AND object IN (SELECT id FROM engagement WHERE incident_id = $1)"
    );
    ERASE_ENGAGEMENTS = both ("DELETE FROM engagement WHERE incident_id = $1");
}
