//! Keys: which secrets are in use, which keys sign, which revocation lists were the last, and every key and value that is
//! wrapped with a secret.

use super::Sql;

statements! {
    SECRETS = both ("SELECT secret_check, secrets, lasting_keys FROM ledger_head WHERE id = 1");
    SET_SECRETS = both ("UPDATE ledger_head SET secrets = $1, lasting_keys = $2 WHERE id = 1");
    SIGNERS = both ("SELECT signers FROM ledger_head WHERE id = 1");
    SET_SIGNERS = both ("UPDATE ledger_head SET signers = $1 WHERE id = 1");
    LEDGER_KEYS = both (
        "SELECT verifier_key, from_idx, from_at, until_at, compromised_from FROM ledger_key
         ORDER BY from_idx, verifier_key"
    );
    END_LEDGER_KEY = both (
        "UPDATE ledger_key SET until_at = $1, compromised_from = $2 WHERE verifier_key = $3 AND until_at IS NULL"
    );
    COMPROMISE_LEDGER_KEY = both (
        "UPDATE ledger_key SET compromised_from = $1
         WHERE verifier_key = $2 AND until_at IS NOT NULL AND (compromised_from IS NULL OR compromised_from > $1)"
    );

    LAST_LISTS = both ("SELECT agency, authority, number, this_update FROM revocation_list ORDER BY agency, authority");
    NOTE_LAST_LIST = both (
        "INSERT INTO revocation_list (agency, authority, number, this_update) VALUES ($1, $2, $3, $4)
         ON CONFLICT (agency, authority) DO UPDATE SET number = excluded.number, this_update = excluded.this_update
         WHERE (excluded.number, excluded.this_update) > (revocation_list.number, revocation_list.this_update)"
    );

    // How much there is to look through, for whoever waits.
    COUNT_WRAPPED = both (
        "SELECT (SELECT COUNT(*) FROM entry) + (SELECT COUNT(*) FROM organisation)
            + (SELECT COUNT(*) FROM incident_revision) + (SELECT COUNT(*) FROM consent)
            + (SELECT COUNT(*) FROM request) + (SELECT COUNT(*) FROM notice_acknowledgement)
            + (SELECT COUNT(*) FROM wrongful_release) + (SELECT COUNT(*) FROM theme_version)
            + (SELECT COUNT(*) FROM mandate) + (SELECT COUNT(*) FROM proposal)
            + (SELECT COUNT(*) FROM engagement) + (SELECT COUNT(*) FROM engagement_ask)
            + (SELECT COUNT(*) FROM reminder) + (SELECT COUNT(*) FROM recommendation)
            + (SELECT COUNT(*) FROM incident_statistic)"
    );
    WRAPPED_ENTRIES = both (
        "SELECT '' AS id, idx AS number, '' AS part, wrapped_key AS sealed FROM entry
         WHERE CAST($1 AS TEXT) = '' AND idx > $2 AND wrapped_key IS NOT NULL ORDER BY idx LIMIT $3"
    );
    WRAP_ENTRIES = wrap ("entry", "wrapped_key", "idx", "k.value ->> 1", "(k ->> 1)::bigint");
    WRAPPED_ORGANISATIONS = wrapped ("organisation", "wrapped_key", "id", "version", "''");
    WRAP_ORGANISATIONS = wrap ("organisation", "wrapped_key", "id");
    WRAPPED_REVISIONS = wrapped_versions ("incident_revision", "incident_id", "revision");
    WRAP_REVISIONS = wrap_versions ("incident_revision", "incident_id", "revision");
    WRAPPED_CONSENTS = wrapped_versions ("consent", "id", "version");
    WRAP_CONSENTS = wrap_versions ("consent", "id", "version");
    WRAPPED_REQUESTS = wrapped ("request", "wrapped_key", "id", "0", "''");
    WRAP_REQUESTS = wrap ("request", "wrapped_key", "id");
    WRAPPED_ACKNOWLEDGEMENTS = wrapped_versions ("notice_acknowledgement", "notice_id", "version");
    WRAP_ACKNOWLEDGEMENTS = wrap_versions ("notice_acknowledgement", "notice_id", "version");
    WRAPPED_WRONGFUL_RELEASES = wrapped ("wrongful_release", "wrapped_key", "id", "0", "''");
    WRAP_WRONGFUL_RELEASES = wrap ("wrongful_release", "wrapped_key", "id");
    WRAPPED_THEMES = wrapped_versions ("theme_version", "theme_id", "version");
    WRAP_THEMES = wrap_versions ("theme_version", "theme_id", "version");
    WRAPPED_MANDATES = wrapped ("mandate", "wrapped_key", "id", "0", "''");
    WRAP_MANDATES = wrap ("mandate", "wrapped_key", "id");
    WRAPPED_PROPOSALS = wrapped ("proposal", "wrapped_key", "id", "0", "''");
    WRAP_PROPOSALS = wrap ("proposal", "wrapped_key", "id");
    WRAPPED_ENGAGEMENTS = wrapped ("engagement", "wrapped_key", "id", "0", "''");
    WRAP_ENGAGEMENTS = wrap ("engagement", "wrapped_key", "id");
    WRAPPED_ASKS_OF_VICTIM = wrapped_versions ("engagement_ask", "engagement_id", "number");
    WRAP_ASKS_OF_VICTIM = wrap_versions ("engagement_ask", "engagement_id", "number");
    WRAPPED_REMINDERS = wrapped ("reminder", "wrapped_key", "incident_id", "0", "''");
    WRAP_REMINDERS = wrap ("reminder", "wrapped_key", "incident_id");
    WRAPPED_RECOMMENDATIONS = wrapped ("recommendation", "wrapped_key", "id", "0", "''");
    WRAP_RECOMMENDATIONS = wrap ("recommendation", "wrapped_key", "id");
    SEALED_STATISTICS = wrapped ("incident_statistic", "sealed", "incident_id", "0", "quarter");
    SEAL_STATISTICS = wrap ("incident_statistic", "sealed", "incident_id");
}
