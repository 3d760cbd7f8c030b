//! Who may speak for an organisation.

use super::Sql;

statements! {
    MANDATE = both ("SELECT id, holder, organisation_id, wrapped_key, sealed, valid_from, valid_until, recorded_by,
                recorded_at, ended_at
         FROM mandate WHERE holder = $1 AND id = $2 AND wrapped_key IS NOT NULL");
    MANDATES = both ("SELECT id, holder, organisation_id, wrapped_key, sealed, valid_from, valid_until, recorded_by,
                recorded_at, ended_at
         FROM mandate WHERE holder = $1 AND id > $2 AND wrapped_key IS NOT NULL AND ($4 = '' OR organisation_id = $4)
         ORDER BY id LIMIT $3");
    END_MANDATE = both ("UPDATE mandate SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL");
    ERASE_MANDATES = both ("UPDATE mandate SET wrapped_key = NULL, sealed = $2 WHERE organisation_id = $1");
}
