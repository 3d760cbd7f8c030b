//! Reminders, recommendations and categories.

use super::Sql;

statements! {
    REMINDER = both (
        "SELECT incident_id, recorded_at AS registered_at, holder, version, given_at, channel, wording, digest, recorded_by,
                recorded_at, wrapped_key, sealed
         FROM reminder WHERE holder = $1 AND incident_id = $2"
    );
    // What is `due` is an incident without a reminder that came from no other agency; `recorded` are reminders alone.
    REMINDERS = both (
        "SELECT v.incident_id, v.recorded_at AS registered_at, i.holder, r.version, r.given_at, r.channel, r.wording,
                r.digest, r.recorded_by, r.recorded_at, r.wrapped_key, r.sealed
         FROM incident_revision v JOIN incident i ON i.id = v.incident_id
              LEFT JOIN reminder r ON r.incident_id = v.incident_id
         WHERE v.revision = 1 AND i.holder = $1 AND i.erased_at IS NULL
           AND (v.recorded_at < $2 OR (v.recorded_at = $2 AND v.incident_id < $3))
           AND ((r.incident_id IS NOT NULL AND $5 <> 'due')
                OR (r.incident_id IS NULL AND i.provenance IS NULL AND $5 <> 'recorded'))
         ORDER BY v.recorded_at DESC, v.incident_id DESC LIMIT $4"
    );
    CHANGE_REMINDER = both (
        "UPDATE reminder SET version = $1, given_at = $2, channel = $3, wording = $4, digest = $5, recorded_by = $6,
                recorded_at = $7, wrapped_key = $8, sealed = $9
         WHERE incident_id = $10 AND version = $1 - 1"
    );
    ERASE_REMINDER = both ("DELETE FROM reminder WHERE incident_id = $1");
    RECOMMENDATION = both (
        "SELECT id, holder, incident_id, clause, towards, belief, channel, made_at, recorded_by, version, outcome,
                outcome_at, wrapped_key, sealed
         FROM recommendation WHERE holder = $1 AND id = $2"
    );
    RECOMMENDATIONS = both (
        "SELECT id, holder, incident_id, clause, towards, belief, channel, made_at, recorded_by, version, outcome,
                outcome_at, wrapped_key, sealed
         FROM recommendation WHERE holder = $1 AND ($2 = '' OR id < $2) AND ($4 = '' OR incident_id = $4)
         ORDER BY id DESC LIMIT $3"
    );
    CHANGE_OUTCOME = both (
        "UPDATE recommendation SET version = $1, outcome = $2, outcome_at = $3 WHERE id = $4 AND version = $1 - 1"
    );
    ERASE_RECOMMENDATIONS = both ("DELETE FROM recommendation WHERE incident_id = $1");
    CATEGORISATION = both (
        "SELECT incident_id, holder, category, version, set_by, set_at
         FROM categorisation WHERE holder = $1 AND incident_id = $2"
    );
    CHANGE_CATEGORISATION = both (
        "UPDATE categorisation SET category = $1, version = $2, set_by = $3, set_at = $4
         WHERE incident_id = $5 AND version = $2 - 1"
    );
    ERASE_CATEGORISATION = both ("DELETE FROM categorisation WHERE incident_id = $1");
}
