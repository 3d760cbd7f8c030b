//! Themes: their versions, what these rest on, and whom they were shared with.

use super::Sql;

statements! {
    THEME = both ("SELECT id, holder, withdrawn_at, withdrawn_by FROM theme WHERE holder = $1 AND id = $2");
    THEMES = both (
        "SELECT id, holder, withdrawn_at, withdrawn_by FROM theme WHERE holder = $1 AND id > $2 ORDER BY id LIMIT $3"
    );
    THEME_VERSIONS = set (
        "SELECT theme_id, version, wrapped_key, sealed, drafted_by, drafted_at, confirmed_by, confirmed_at,
                threshold, largest_share, digest
         FROM theme_version WHERE theme_id", " ORDER BY theme_id, version DESC"
    );
    THEME_INCIDENTS = set (
        "SELECT t.theme_id, t.version, t.incident_id, i.organisation_id, i.markings FROM theme_incident t
         LEFT JOIN incident i ON i.id = t.incident_id AND i.erased_at IS NULL WHERE t.theme_id",
        " ORDER BY t.theme_id, t.version, t.incident_id"
    );
    // The newest, and the one that was confirmed last: what an officer works on and what others get.
    CURRENT_VERSIONS = set (
        "SELECT theme_id, version, wrapped_key, sealed, drafted_by, drafted_at, confirmed_by, confirmed_at,
                threshold, largest_share, digest
         FROM theme_version v
         WHERE NOT EXISTS (SELECT 1 FROM theme_version n WHERE n.theme_id = v.theme_id AND n.version > v.version
                           AND (v.confirmed_at IS NULL OR n.confirmed_at IS NOT NULL))
           AND theme_id", " ORDER BY theme_id, version DESC"
    );
    NEWEST_INCIDENTS = both (
        "SELECT t.theme_id, t.version, t.incident_id, i.organisation_id, i.markings FROM theme_incident t
         LEFT JOIN incident i ON i.id = t.incident_id AND i.erased_at IS NULL
         WHERE t.theme_id = $1 AND t.version = (SELECT MAX(version) FROM theme_version WHERE theme_id = $1)
         ORDER BY t.incident_id"
    );
    SHAREABLE_THEMES = both (
        "SELECT t.id, t.holder, t.withdrawn_at, t.withdrawn_by FROM theme t
         WHERE t.holder = $1 AND t.id > $2 AND t.withdrawn_at IS NULL
           AND EXISTS (SELECT 1 FROM theme_version v WHERE v.theme_id = t.id AND v.confirmed_at IS NOT NULL)
         ORDER BY t.id LIMIT $3"
    );
    THEMES_BY_ID = set ("SELECT id, holder, withdrawn_at, withdrawn_by FROM theme WHERE id", " ORDER BY id");
    CONFIRMED_VERSIONS = set (
        "SELECT theme_id, version, wrapped_key, sealed, drafted_by, drafted_at, confirmed_by, confirmed_at,
                threshold, largest_share, digest
         FROM theme_version v
         WHERE confirmed_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM theme_version n WHERE n.theme_id = v.theme_id AND n.version > v.version
                           AND n.confirmed_at IS NOT NULL)
           AND theme_id", ""
    );
    CONFIRMED_INCIDENTS = set (
        "SELECT t.theme_id, t.version, t.incident_id, i.organisation_id, i.markings FROM theme_incident t
         LEFT JOIN incident i ON i.id = t.incident_id AND i.erased_at IS NULL
         WHERE t.version = (SELECT MAX(v.version) FROM theme_version v
                            WHERE v.theme_id = t.theme_id AND v.confirmed_at IS NOT NULL)
           AND t.theme_id", " ORDER BY t.theme_id, t.incident_id"
    );
    THEME_RECIPIENTS = both ("SELECT agency FROM theme_recipient WHERE theme_id = $1 ORDER BY agency");
    CONFIRM_THEME = both (
        "UPDATE theme_version SET confirmed_by = $1, confirmed_at = $2, threshold = $3, largest_share = $4, digest = $5
         WHERE theme_id = $6 AND version = $7 AND confirmed_at IS NULL"
    );
    WITHDRAW_THEME = both (
        "UPDATE theme SET withdrawn_at = $1, withdrawn_by = $2 WHERE id = $3 AND withdrawn_at IS NULL"
    );
}
