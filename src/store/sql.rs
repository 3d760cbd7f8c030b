//! Every statement, named. One text for both databases, but for the set look-ups and the lock.

#[macro_use]
mod dialects;
mod advice;
mod engagements;
mod help;
mod keys;
mod mandates;
mod proposals;
mod retention;
mod themes;

pub(super) use advice::*;
pub use dialects::Sql;
pub(super) use engagements::*;
pub(super) use help::*;
pub(super) use keys::*;
pub(super) use mandates::*;
pub(super) use proposals::*;
pub(super) use retention::*;
pub(super) use themes::*;

statements! {
    // The lock: the first statement of every writing transaction. On SQLite `BEGIN IMMEDIATE` has taken it.
    LOCK_HEAD = each (
        "SELECT size, at, frontier, secrets, signers, NULL AS database_time FROM ledger_head WHERE id = 1",
        "SELECT size, at, frontier, secrets, signers,
                (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint AS database_time
         FROM ledger_head WHERE id = 1 FOR UPDATE"
    );
    MOVE_HEAD = both ("UPDATE ledger_head SET size = $1, at = $2, frontier = $3 WHERE id = 1 AND size = $4");
    KEEP_HEAD = both ("UPDATE ledger_head SET size = size WHERE id = 1");
    HEAD = both ("SELECT size, at, frontier FROM ledger_head WHERE id = 1");
    DATABASE_TIME = each (
        "SELECT NULL AS database_time",
        "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint AS database_time"
    );
    SECRET_CHECK = both ("SELECT secret_check FROM ledger_head WHERE id = 1");
    SET_SECRET_CHECK = both ("UPDATE ledger_head SET secret_check = $1 WHERE id = 1 AND secret_check IS NULL");
    CHECKPOINT = both ("SELECT note FROM checkpoint WHERE size = $1");
    LAST_CHECKPOINT = both ("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1");
    CHECKPOINT_AT_OR_AFTER = both ("SELECT size, note FROM checkpoint WHERE size >= $1 ORDER BY size LIMIT 1");

    ENTRY_FOR = both (
        "SELECT e.idx, e.kind, e.at, e.leaf, e.wrapped_key, e.openings, p.slots
         FROM entry e JOIN entry_party p ON p.idx = e.idx WHERE p.agency = $1 AND e.idx = $2"
    );
    ENTRIES_FOR = both (
        "SELECT e.idx, e.kind, e.at, e.leaf, e.wrapped_key, e.openings, p.slots
         FROM entry_party p JOIN entry e ON e.idx = p.idx
         WHERE p.agency = $1 AND p.idx >= $2 ORDER BY p.idx LIMIT $3"
    );
    NODES = each (
        "SELECT idx, hashes FROM entry WHERE idx IN (SELECT value FROM json_each($1))",
        "SELECT idx, hashes FROM entry WHERE idx = ANY(ARRAY(SELECT json_array_elements_text($1::json)::bigint))"
    );
    KINDS_SINCE = both ("SELECT kind, COUNT(*) AS count FROM entry WHERE idx >= $1 AND at >= $2 GROUP BY kind");
    LEAVES_FROM = both ("SELECT idx, at, leaf, hashes FROM entry WHERE idx >= $1 ORDER BY idx LIMIT $2");

    WHOLE_ENTRIES = both (
        "SELECT idx, leaf, wrapped_key, openings, facts FROM entry WHERE idx >= $1 AND idx < $2 ORDER BY idx LIMIT $3"
    );

    CALLS = set (
        "SELECT c.key, c.digest, c.idx, c.object, c.version, c.at, c.answer FROM call c WHERE c.key", ""
    );
    CALLS_OF_OBJECT = both (
        "SELECT c.key, c.digest, c.idx, c.object, c.version, c.at, c.answer FROM call c
         WHERE c.object = $1 AND c.answer IS NOT NULL ORDER BY c.idx LIMIT 1000"
    );
    CHANGES_OF_OBJECT = both ("SELECT idx FROM call WHERE object = $1 AND answer IS NULL ORDER BY idx LIMIT 200");
    ASKS_AT = each (
        "SELECT object, answer FROM call WHERE object IN (SELECT value FROM json_each($1))
           AND idx IN (SELECT value FROM json_each($2)) AND answer IS NOT NULL",
        "SELECT object, answer FROM call WHERE object = ANY(ARRAY(SELECT json_array_elements_text($1::json)))
           AND idx = ANY(ARRAY(SELECT json_array_elements_text($2::json)::bigint)) AND answer IS NOT NULL"
    );
    ASK_AT = both (
        "SELECT c.answer, r.open_until FROM call c JOIN request r ON r.id = c.object WHERE c.object = $1 AND c.idx = $2"
    );
    TABLE_ASK_AT = both ("SELECT c.answer FROM call c WHERE c.object = $1 AND c.idx = $2");

    AGREEMENTS = both ("SELECT id, version, digest, state, activated_at FROM agreement ORDER BY id, version");
    AGREEMENTS_IN_FORCE = both ("SELECT id, digest FROM agreement WHERE state = 'in-force' ORDER BY id");
    AGREEMENT_TEXT = both ("SELECT text FROM agreement_text WHERE digest = $1");
    SUPERSEDE_AGREEMENT = both ("UPDATE agreement SET state = $1 WHERE id = $2 AND state = 'in-force'");

    SUSPENSIONS_OF = set (
        "SELECT suspended, holder, officer, suspended_at, suspended_by FROM suspension WHERE suspended",
        " ORDER BY suspended, holder"
    );
    SUSPENSIONS = both (
        "SELECT suspended, holder, officer, suspended_at, suspended_by FROM suspension
         WHERE holder = $1 AND suspended > $2 ORDER BY suspended LIMIT $3"
    );
    SUSPENDED_SYSTEMS = both (
        "SELECT DISTINCT suspended FROM suspension WHERE suspended NOT LIKE '%/officer-%' ORDER BY suspended"
    );
    LIFT_SUSPENSION = both ("DELETE FROM suspension WHERE holder = $1 AND suspended = $2");

    ORGANISATION = both (
        "SELECT id, holder, version, wrapped_key, sealed, merged_into, merged_at, merger_recorded_at
         FROM organisation WHERE holder = $1 AND id = $2"
    );
    ORGANISATIONS = both (
        "SELECT id, holder, version, wrapped_key, sealed, merged_into, merged_at, merger_recorded_at
         FROM organisation WHERE holder = $1 AND id > $2 ORDER BY id LIMIT $3"
    );
    ORGANISATIONS_BY_ID = set (
        "SELECT id, holder, version, wrapped_key, sealed, merged_into, merged_at, merger_recorded_at
         FROM organisation WHERE id", " AND holder = $2 ORDER BY id"
    );
    AMEND_ORGANISATION = both (
        "UPDATE organisation SET version = $1, wrapped_key = $2, sealed = $3, merged_into = $4, merged_at = $5,
                merger_recorded_at = $6
         WHERE id = $7 AND version = $1 - 1"
    );
    SET_MERGER_RECORDED = both ("UPDATE organisation SET merger_recorded_at = $1 WHERE id = $2");
    MERGERS_OF = set (
        "SELECT id, merged_into, merged_at FROM organisation WHERE merged_into IS NOT NULL AND id", " ORDER BY id"
    );
    MERGERS_INTO = set ("SELECT id, merged_into, merged_at FROM organisation WHERE merged_into", " ORDER BY id");
    DROP_NAMES = both ("DELETE FROM organisation_name WHERE organisation_id = $1");
    NAMES = set (
        "SELECT organisation_id, kind FROM organisation_name WHERE lookup", " ORDER BY organisation_id, kind LIMIT $2"
    );
    DROP_PARENTS = both ("DELETE FROM organisation_parent WHERE organisation_id = $1");
    PARENTS_OF = set ("SELECT organisation_id, parent_id FROM organisation_parent WHERE organisation_id",
        " ORDER BY organisation_id, parent_id");
    SUBSIDIARIES_OF = set ("SELECT organisation_id, parent_id FROM organisation_parent WHERE parent_id",
        " ORDER BY organisation_id, parent_id LIMIT $2");
    DROP_IDENTIFIERS = both ("DELETE FROM organisation_identifier WHERE organisation_id = $1");
    IDENTIFIERS = set ("SELECT lookup, organisation_id FROM organisation_identifier WHERE lookup", "");

    INCIDENT = both (
        "SELECT i.id, i.holder, i.organisation_id, i.revision, i.occurred_from, i.occurred_until, i.markings,
                i.notification, i.campaign, i.retain_until, i.provenance, v.categories
         FROM incident i JOIN incident_revision v ON v.incident_id = i.id AND v.revision = i.revision
         WHERE i.holder = $1 AND i.id = $2 AND i.erased_at IS NULL"
    );
    REVISED_AT = both ("SELECT recorded_at FROM incident_revision WHERE incident_id = $1 AND revision = $2");
    INCIDENTS = both (
        "SELECT i.id, i.holder, i.organisation_id, i.revision, i.occurred_from, i.occurred_until, i.markings,
                i.notification, i.campaign, i.retain_until, i.provenance, v.categories
         FROM incident i JOIN incident_revision v ON v.incident_id = i.id AND v.revision = i.revision
         WHERE i.holder = $1 AND i.id > $2 AND i.erased_at IS NULL AND ($4 = '' OR i.organisation_id = $4)
         ORDER BY i.id LIMIT $3"
    );
    INCIDENTS_NOTIFIED = both (
        "SELECT i.id, i.holder, i.organisation_id, i.revision, i.occurred_from, i.occurred_until, i.markings,
                i.notification, i.campaign, i.retain_until, i.provenance, v.categories
         FROM incident i JOIN incident_revision v ON v.incident_id = i.id AND v.revision = i.revision
         WHERE i.holder = $1 AND i.notification IS NOT NULL AND i.erased_at IS NULL ORDER BY i.id"
    );
    INCIDENTS_BY_ID = set (
        "SELECT i.id AS found_by, '' AS recipient, i.id, i.holder, i.organisation_id, i.revision,
                i.occurred_from, i.occurred_until, i.markings, i.notification, i.campaign, i.retain_until,
                i.provenance, i.permissions, v.categories, i.frozen, g.merger_recorded_at
         FROM incident i JOIN incident_revision v ON v.incident_id = i.id AND v.revision = i.revision
         JOIN organisation g ON g.id = i.organisation_id WHERE i.erased_at IS NULL AND i.id", ""
    );
    // The four that a decision reads by. Where nothing is found they give the placeholder's row, so that they do as much.
    INCIDENTS_BY_REFERENCE = keys (
        "SELECT k.value AS found_by, COALESCE(r.recipient, '-') AS recipient, i.id, i.holder, i.organisation_id,
                i.revision, i.occurred_from, i.occurred_until, i.markings, i.notification, i.campaign, i.retain_until,
                i.provenance, i.permissions, v.categories, i.frozen, g.merger_recorded_at",
        "LEFT JOIN reference r ON r.reference = k.value
         LEFT JOIN incident h ON h.id = r.incident_id AND h.erased_at IS NULL
         JOIN incident i ON i.id = COALESCE(h.id, '-')
         JOIN incident_revision v ON v.incident_id = i.id AND v.revision = i.revision
         JOIN organisation g ON g.id = i.organisation_id"
    );
    INCIDENTS_BY_IDENTIFIER = keys (
        "SELECT k.value AS found_by, '' AS recipient, i.id, i.holder, i.organisation_id, i.revision, i.occurred_from,
                i.occurred_until, i.markings, i.notification, i.campaign, i.retain_until, i.provenance, i.permissions,
                v.categories, i.frozen, g.merger_recorded_at",
        "LEFT JOIN organisation_identifier o ON o.lookup = k.value
         LEFT JOIN incident h ON h.organisation_id = o.organisation_id AND h.erased_at IS NULL
              AND h.occurred_from < $2 AND h.occurred_until > $3
         JOIN incident i ON i.id = COALESCE(h.id, '-')
         JOIN incident_revision v ON v.incident_id = i.id AND v.revision = i.revision
         JOIN organisation g ON g.id = i.organisation_id"
    );
    FROZEN = set ("SELECT id, frozen FROM incident WHERE id", "");
    SET_FROZEN = each (
        "UPDATE incident SET frozen = k.value ->> 1 FROM json_each($1) k WHERE incident.id = k.value ->> 0",
        "UPDATE incident SET frozen = k ->> 1 FROM json_array_elements($1::json) k WHERE incident.id = k ->> 0"
    );
    CONTENT = both (
        "SELECT c.incident_id, c.revision, c.category, c.sealed, r.wrapped_key FROM incident_category c
         JOIN incident_revision r ON r.incident_id = c.incident_id AND r.revision = c.revision
         WHERE c.incident_id = $1 AND c.revision = $2 ORDER BY c.category"
    );
    CONTENT_OF = each (
        "SELECT c.incident_id, c.revision, c.category, c.sealed, r.wrapped_key FROM json_each($1) k
         CROSS JOIN incident_category c ON c.incident_id = k.value ->> 0 AND c.revision = k.value ->> 1
             AND c.category = k.value ->> 2
         CROSS JOIN incident_revision r ON r.incident_id = c.incident_id AND r.revision = c.revision",
        "SELECT c.incident_id, c.revision, c.category, c.sealed, r.wrapped_key FROM json_array_elements($1::json) k
         JOIN incident_category c ON c.incident_id = k ->> 0 AND c.revision = (k ->> 1)::bigint AND c.category = k ->> 2
         JOIN incident_revision r ON r.incident_id = c.incident_id AND r.revision = c.revision"
    );
    AMEND_INCIDENT = both (
        "UPDATE incident SET revision = $1, markings = $2 WHERE id = $3 AND revision = $1 - 1 AND erased_at IS NULL"
    );
    SET_NOTIFICATION = both ("UPDATE incident SET notification = $1 WHERE id = $2");
    SET_PERMISSIONS = both ("UPDATE incident SET permissions = $1 WHERE id = $2");
    PERMISSION = both (
        "SELECT id, upstream, holder, unit, pseudonym, passage, recipient, purpose, categories, asked_at, permitted,
                valid_until, declined_at, withdrawn_at
         FROM permission WHERE id = $1"
    );
    PERMISSIONS = both (
        "SELECT id, upstream, holder, unit, pseudonym, passage, recipient, purpose, categories, asked_at, permitted,
                valid_until, declined_at, withdrawn_at
         FROM permission WHERE upstream = $1 AND id > $2 ORDER BY id LIMIT $3"
    );
    PERMITTED_OF = set (
        "SELECT id, upstream, holder, unit, pseudonym, passage, recipient, purpose, categories, asked_at, permitted,
                valid_until, declined_at, withdrawn_at
         FROM permission WHERE permitted IS NOT NULL AND reference",
        " ORDER BY id"
    );
    GIVE_PERMISSION = both ("UPDATE permission SET permitted = $1, valid_until = $2 WHERE id = $3 AND permitted IS NULL");
    DECLINE_PERMISSION = both ("UPDATE permission SET declined_at = $1 WHERE id = $2 AND declined_at IS NULL");
    WITHDRAW_PERMISSION = both ("UPDATE permission SET withdrawn_at = $1 WHERE id = $2 AND withdrawn_at IS NULL");
    PERMISSION_SHOWN = both ("SELECT incident_id, withdrawn_at FROM permission_shown WHERE permission = $1 ORDER BY incident_id");
    PERMISSIONS_SHOWN_FOR = both ("SELECT permission FROM permission_shown WHERE incident_id = $1 ORDER BY permission");
    PERMISSIONS_WITHDRAWN = both (
        "SELECT s.permission FROM permission_shown s
         JOIN permission_shown w ON w.permission = s.permission AND w.incident_id = ''
         WHERE s.incident_id = $1 ORDER BY s.permission"
    );
    REFERENCES_TO = set (
        "SELECT incident_id, recipient, MIN(reference) AS reference FROM reference WHERE incident_id",
        " GROUP BY incident_id, recipient"
    );

    CONSENT = both (
        "SELECT id, version, holder, organisation_id, recipient, state, scope, wrapped_key, evidence, recorded_by,
                recorded_at, confirmed_at
         FROM consent WHERE holder = $1 AND id = $2 ORDER BY version DESC"
    );
    CONSENTS = both (
        "SELECT c.id, c.version, c.holder, c.organisation_id, c.recipient, c.state, c.scope, c.wrapped_key,
                c.evidence, c.recorded_by, c.recorded_at, c.confirmed_at
         FROM consent c
         WHERE c.holder = $1 AND c.id > $2 AND ($4 = '' OR c.organisation_id = $4)
           AND c.version = (SELECT MAX(v.version) FROM consent v WHERE v.id = c.id)
         ORDER BY c.id LIMIT $3"
    );
    CONSENTS_OPEN = both (
        "SELECT id, version, holder, organisation_id, recipient, state, scope, wrapped_key, evidence, recorded_by,
                recorded_at, confirmed_at
         FROM consent WHERE organisation_id = $1 AND holder = $2 AND state IN ('recorded', 'given')
         ORDER BY id, version LIMIT $3"
    );
    CONSENTS_TOWARDS = both (
        "SELECT id, version, holder, organisation_id, recipient, state, scope, wrapped_key, evidence, recorded_by,
                recorded_at, confirmed_at
         FROM consent WHERE organisation_id = $1 AND holder = $2 AND recipient = $3 ORDER BY id, version"
    );
    CONSENTS_OF = keys (
        "SELECT c.id, c.version, c.holder, c.organisation_id, c.recipient, c.state, c.scope, NULL AS wrapped_key,
                NULL AS evidence, c.recorded_by, c.recorded_at, c.confirmed_at",
        "LEFT JOIN consent h ON h.organisation_id = k.value
         JOIN consent c ON c.id = COALESCE(h.id, '-') AND c.version = COALESCE(h.version, 1) ORDER BY c.id, c.version"
    );
    SET_CONSENT_STATE = both ("UPDATE consent SET state = $1 WHERE id = $2 AND version = $3");

    AUTHORISATION = both (
        "SELECT id, holder, incident_id, recipient, revision, covers_updates, purposes, categories, ground, given_at,
                valid_until, revoked_at, preview, form
         FROM authorisation WHERE holder = $1 AND id = $2"
    );
    AUTHORISATIONS = both (
        "SELECT id, holder, incident_id, recipient, revision, covers_updates, purposes, categories, ground, given_at,
                valid_until, revoked_at, preview, form
         FROM authorisation WHERE holder = $1 AND id > $2 AND ($4 = '' OR incident_id = $4) ORDER BY id LIMIT $3"
    );
    AUTHORISATIONS_OF = keys (
        "SELECT a.id, a.holder, a.incident_id, a.recipient, a.revision, a.covers_updates, a.purposes, a.categories,
                a.ground, a.given_at, a.valid_until, a.revoked_at, a.preview, a.form",
        "LEFT JOIN authorisation h ON h.incident_id = k.value
         JOIN authorisation a ON a.id = COALESCE(h.id, '-') ORDER BY a.id"
    );
    REVOKE_AUTHORISATION = both ("UPDATE authorisation SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL");

    DISCLOSURES_OF = set (
        "SELECT incident_id, id, holder, recipient, idx, revision, disclosed_at, terms FROM disclosure WHERE incident_id",
        " ORDER BY incident_id, disclosed_at, id"
    );
    DISCLOSURES_ON = both (
        "SELECT incident_id, id, holder, recipient, idx, revision, disclosed_at, terms FROM disclosure
         WHERE consent_id = $1 ORDER BY incident_id, disclosed_at, id"
    );
    DISCLOSURES = both (
        "SELECT incident_id, id, holder, recipient, idx, revision, disclosed_at, terms FROM disclosure
         WHERE incident_id = $1 AND id > $2 AND holder = $4 ORDER BY id LIMIT $3"
    );
    DISCLOSURES_ELSEWHERE = set (
        "SELECT incident_id, id, holder, recipient, idx, revision, disclosed_at, terms FROM disclosure
         WHERE idx IS NULL AND id", ""
    );

    NOTICE = both (
        "SELECT n.id, n.kind, n.cause, n.by_hand, n.issued_at, n.due_at, n.idx AS entry, n.outcome,
                d.incident_id, d.id AS disclosure_id, d.holder, d.recipient, d.idx, d.revision, d.disclosed_at, d.terms
         FROM notice n JOIN disclosure d ON d.incident_id = n.incident_id AND d.id = n.disclosure_id WHERE n.id = $1"
    );
    NOTICES_OF = set (
        "SELECT n.id, n.kind, n.cause, n.by_hand, n.issued_at, n.due_at, n.idx AS entry, n.outcome,
                d.incident_id, d.id AS disclosure_id, d.holder, d.recipient, d.idx, d.revision, d.disclosed_at, d.terms
         FROM notice n JOIN disclosure d ON d.incident_id = n.incident_id AND d.id = n.disclosure_id
         WHERE n.incident_id", " ORDER BY n.id"
    );
    NOTICES_TO = both (
        "SELECT n.id, n.kind, n.cause, n.by_hand, n.issued_at, n.due_at, n.idx AS entry, n.outcome,
                d.incident_id, d.id AS disclosure_id, d.holder, d.recipient, d.idx, d.revision, d.disclosed_at, d.terms
         FROM notice n JOIN disclosure d ON d.incident_id = n.incident_id AND d.id = n.disclosure_id
         WHERE n.recipient = $1 AND n.by_hand = 0 AND n.id > $2 AND ($4 = '' OR n.outcome IS NULL)
         ORDER BY n.id LIMIT $3"
    );
    NOTICES_BY = both (
        "SELECT n.id, n.kind, n.cause, n.by_hand, n.issued_at, n.due_at, n.idx AS entry, n.outcome,
                d.incident_id, d.id AS disclosure_id, d.holder, d.recipient, d.idx, d.revision, d.disclosed_at, d.terms
         FROM notice n JOIN disclosure d ON d.incident_id = n.incident_id AND d.id = n.disclosure_id
         WHERE n.holder = $1 AND n.id > $2 AND ($4 = '' OR n.outcome IS NULL) ORDER BY n.id LIMIT $3"
    );
    NOTICES_OVERDUE = both (
        "SELECT n.id, n.kind, n.cause, n.by_hand, n.issued_at, n.due_at, n.idx AS entry, n.outcome,
                d.incident_id, d.id AS disclosure_id, d.holder, d.recipient, d.idx, d.revision, d.disclosed_at, d.terms
         FROM notice n JOIN disclosure d ON d.incident_id = n.incident_id AND d.id = n.disclosure_id
         WHERE n.outcome IS NULL AND n.due_at <= $1 ORDER BY n.due_at, n.id LIMIT $2"
    );
    NOTICE_ANSWERED = both ("UPDATE notice SET outcome = $1 WHERE id = $2");
    ACKNOWLEDGEMENTS_OF = set (
        "SELECT notice_id, version, outcome, acknowledged_at, wrapped_key, sealed FROM notice_acknowledgement
         WHERE notice_id", " ORDER BY notice_id, version"
    );

    WRONGFUL_RELEASE = both (
        "SELECT id, holder, cause, reported_by, reported_at, aware_at, closed_at, lifted_at, wrapped_key, closing
         FROM wrongful_release WHERE holder = $1 AND id = $2"
    );
    WRONGFUL_RELEASES = both (
        "SELECT id, holder, cause, reported_by, reported_at, aware_at, closed_at, lifted_at, wrapped_key, closing
         FROM wrongful_release WHERE holder = $1 AND id > $2 ORDER BY id LIMIT $3"
    );
    WRONGFUL_RELEASES_OPEN = both (
        "SELECT id, holder, aware_at FROM wrongful_release WHERE closed_at IS NULL AND aware_at <= $1
         ORDER BY aware_at, id LIMIT $2"
    );
    WRONGFUL_DISCLOSURES = both (
        "SELECT d.incident_id, d.id, d.holder, d.recipient, d.idx, d.revision, d.disclosed_at, d.terms
         FROM wrongful_disclosure w
         JOIN disclosure d ON d.incident_id = w.incident_id AND d.id = w.disclosure_id
         WHERE w.wrongful_release_id = $1 ORDER BY d.incident_id, d.id"
    );
    CLOSE_WRONGFUL_RELEASE = both (
        "UPDATE wrongful_release SET closed_at = $1, lifted_at = $2, wrapped_key = $3, closing = $4 WHERE id = $5"
    );

    QUESTIONS_BY_ID = set (
        "SELECT id, holder, requester, purpose, form, categories, wrapped_key, subject, created_at, open_until, urgency,
                unit, pseudonym, offered_at, declined_at
         FROM request WHERE id", ""
    );
    QUESTIONS = both (
        "SELECT id, holder, requester, purpose, form, categories, wrapped_key, subject, created_at, open_until, urgency,
                unit, pseudonym, offered_at, declined_at
         FROM request WHERE requester = $1 AND id > $2 ORDER BY id LIMIT $3"
    );
    QUESTIONS_NAMING = set (
        "SELECT q.id, q.holder, q.requester, q.purpose, q.form, q.categories, q.wrapped_key, q.subject, q.created_at,
                q.open_until, q.urgency, q.unit, q.pseudonym, q.offered_at, q.declined_at
         FROM request_identifier n JOIN request q ON q.id = n.request_id WHERE n.lookup",
        " AND q.open_until > $2"
    );
    QUESTION_OFFERED = both ("UPDATE request SET offered_at = $1 WHERE id = $2");
    QUESTION_DECLINED = both ("UPDATE request SET declined_at = $1 WHERE id = $2");
    CALLS_OF_OBJECTS = set (
        "SELECT c.key, c.digest, c.idx, c.object, c.version, c.at, c.answer FROM call c
         WHERE c.answer IS NOT NULL AND c.object", " ORDER BY c.idx"
    );

    EVENTS_BETWEEN = both (
        "SELECT id, agency, kind, due_at, object, detail FROM event
         WHERE agency = $1 AND acknowledged_at IS NULL AND due_at >= $3 AND due_at <= $2
           AND (due_at > $3 OR id > $4) AND placed < $6 AND (placed >= $7 OR due_at > $8)
         ORDER BY due_at, id LIMIT $5"
    );
    // See the index.
    NUDGES_DUE = both (
        "SELECT kind, COUNT(*) FROM event
         WHERE acknowledged_at IS NULL AND kind IN ('authorisation-ends', 'consent-ends', 'duty-overdue',
               'notice-unacknowledged', 'request-unanswered', 'review-due')
           AND agency <> '-' AND due_at <= $1
           AND (kind <> 'request-unanswered'
                OR EXISTS (SELECT 1 FROM request WHERE request.id = event.object AND request.open_until > $1))
         GROUP BY kind ORDER BY kind"
    );
    EVENTS_BY_ID = set ("SELECT id, agency, kind, due_at, object, detail FROM event WHERE id", "");
    // Of what is never asked for by its object; see the index.
    EVENTS_OF = set (
        "SELECT id, agency, kind, due_at, object, detail FROM event
         WHERE kind NOT IN ('release-made', 'release-received') AND object",
        " ORDER BY due_at, id"
    );
    ACKNOWLEDGE_EVENT = both ("UPDATE event SET acknowledged_at = $1 WHERE id = $2 AND acknowledged_at IS NULL");
    DROP_EVENTS = both (
        "DELETE FROM event WHERE kind NOT IN ('release-made', 'release-received') AND object = $1"
    );
    RECEIVED = both (
        "SELECT object, MIN(due_at) AS matched_at FROM event
         WHERE agency = $1 AND kind = 'request-to-look-at'
         GROUP BY object HAVING MIN(due_at) > $2 OR (MIN(due_at) = $2 AND object > $3)
         ORDER BY matched_at, object LIMIT $4"
    );

    STATISTIC_OF = both ("SELECT quarter FROM incident_statistic WHERE incident_id = $1");
    SET_STATISTIC = both ("UPDATE incident_statistic SET sealed = $1 WHERE incident_id = $2");
    STATISTICS_IN = both (
        "SELECT incident_id, organisation_id, sealed FROM incident_statistic
         WHERE holder = $1 AND quarter = $2 AND incident_id > $3 ORDER BY incident_id LIMIT $4"
    );
    PUBLICATION = both (
        "SELECT holder, quarter, published_at, rule, digest, tables FROM publication WHERE holder = $1 AND quarter = $2"
    );
    PUBLICATIONS = both (
        "SELECT holder, quarter, published_at, rule, digest, tables FROM publication
         WHERE holder = $1 AND quarter > $2 ORDER BY quarter LIMIT $3"
    );

    STANDINGS_OF = set (
        "SELECT s.incident_id, s.holder, s.quarter, s.sealed, p.published_at FROM incident_statistic s
         LEFT JOIN publication p ON p.holder = s.holder AND p.quarter = s.quarter WHERE s.incident_id", ""
    );
    LOOKS = set (
        "SELECT l.look, p.rule FROM anonymised_look l
         JOIN publication p ON p.holder = l.holder AND p.quarter = l.quarter WHERE l.look", ""
    );
    LOOKS_OF = both ("SELECT look FROM anonymised_look WHERE holder = $1 AND quarter = $2");

    OBLIGATIONS = both (
        "SELECT id, holder, recipient, clause, incident_id, revision, arose_at, due_at, offered_at, done_at
         FROM obligation
         WHERE holder = $1 AND id > $2 AND ($4 = '' OR done_at IS NULL) ORDER BY id LIMIT $3"
    );
    OBLIGATIONS_OF = both (
        "SELECT id, holder, recipient, clause, incident_id, revision, arose_at, due_at, offered_at, done_at
         FROM obligation WHERE incident_id = $1 ORDER BY id"
    );
    OBLIGATIONS_OVERDUE = both (
        "SELECT id, holder, recipient, clause, incident_id, revision, arose_at, due_at, offered_at, done_at
         FROM obligation WHERE done_at IS NULL AND due_at <= $1 ORDER BY due_at, id LIMIT $2"
    );
    REOPEN_OBLIGATION = both (
        "UPDATE obligation SET revision = $1, arose_at = $2, due_at = $3, offered_at = NULL, done_at = NULL
         WHERE id = $4"
    );
    OBLIGATION_OFFERED = both ("UPDATE obligation SET offered_at = $1 WHERE id = $2");
    OBLIGATION_DONE = both (
        "UPDATE obligation SET done_at = $1 WHERE incident_id = $2 AND clause = $3 AND revision = $4 AND done_at IS NULL"
    );
    DROP_DUTY_EVENTS = both (
        "DELETE FROM event WHERE kind NOT IN ('release-made', 'release-received')
           AND object IN (SELECT id FROM obligation WHERE incident_id = $1 AND clause = $2)"
    );
}

/// Every statement by name, so that a test can prepare them all on both databases.
pub fn statements() -> impl Iterator<Item = &'static (&'static str, Sql)> {
    STATEMENTS
        .iter()
        .chain(advice::STATEMENTS)
        .chain(engagements::STATEMENTS)
        .chain(help::STATEMENTS)
        .chain(keys::STATEMENTS)
        .chain(mandates::STATEMENTS)
        .chain(proposals::STATEMENTS)
        .chain(retention::STATEMENTS)
        .chain(themes::STATEMENTS)
}
