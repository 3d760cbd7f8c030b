//! What is due, what is erased, and what recipients disposed of.

use super::Sql;

statements! {
    INCIDENTS_DUE = both ("SELECT i.id, i.retain_until, p.ground, p.proposed_by, p.proposed_at
         FROM incident i LEFT JOIN erasure p ON p.incident_id = i.id
         WHERE i.holder = $1 AND i.id > $2 AND i.erased_at IS NULL AND (i.retain_until <= $4 OR p.ground IS NOT NULL)
         ORDER BY i.id LIMIT $3");
    PROPOSED_ERASURE = both ("SELECT ground, proposed_by, proposed_at FROM erasure WHERE incident_id = $1");
    DROP_PROPOSAL = both ("DELETE FROM erasure WHERE incident_id = $1");
    REQUESTS_MATCHING = both ("SELECT id, object, detail FROM event
         WHERE agency = $1 AND due_at >= $2 AND kind = 'request-to-look-at' AND detail LIKE $3");
    ASKS_LEFT = set (
        "SELECT c.object, c.idx, c.answer, r.holder, p.slots, e.wrapped_key, e.openings
         FROM call c JOIN request r ON r.id = c.object JOIN entry e ON e.idx = c.idx
         JOIN entry_party p ON p.agency = r.requester AND p.idx = c.idx
         WHERE c.answer IS NOT NULL AND e.facts IS NOT NULL AND c.object", " AND c.idx >= $2 ORDER BY c.idx"
    );
    REFERENCES_OF = both ("SELECT reference FROM reference WHERE incident_id = $1 ORDER BY reference");
    ERASE_INCIDENT = both (
        "UPDATE incident SET erased_at = $1, organisation_id = '', occurred_from = 0, occurred_until = 0,
                notification = NULL, campaign = NULL, provenance = NULL, permissions = NULL
         WHERE id = $2 AND erased_at IS NULL"
    );
    ERASE_REVISIONS = both ("UPDATE incident_revision SET wrapped_key = NULL, categories = '{}' WHERE incident_id = $1");
    ERASE_CATEGORIES = both ("DELETE FROM incident_category WHERE incident_id = $1");
    ERASE_SAID = both ("UPDATE notice_acknowledgement SET wrapped_key = NULL, sealed = $2
         WHERE notice_id IN (SELECT id FROM notice WHERE incident_id = $1)");
    ERASE_CLOSING = both ("UPDATE wrongful_release SET wrapped_key = NULL, closing = NULL
         WHERE id IN (SELECT wrongful_release_id FROM wrongful_disclosure WHERE incident_id = $1)");
    ERASE_WHO_TOLD = each (
        "UPDATE disclosure SET terms = json_set(terms, '$.elsewhere.officer', '') WHERE incident_id = $1 AND idx IS NULL",
        "UPDATE disclosure SET terms = jsonb_set(terms::jsonb, '{elsewhere,officer}', '\"\"')::text
         WHERE incident_id = $1 AND idx IS NULL"
    );
    ERASE_REFERENCES = both ("DELETE FROM reference WHERE incident_id = $1");
    // The reference is a part of the passage's JSON and of nothing else in it. None is found by what replaces it.
    ERASE_PASSAGES = set (
        "UPDATE permission SET passage = REPLACE(passage, reference, '-'), reference = '-'
         WHERE upstream = $2 AND reference", ""
    );
    // What recipients said of notices about it, and why wrongful releases were closed that were about it and about nothing
    // else that is still held. The first call about a wrongful release is its report, which says no reason.
    ENTRIES_OF_REASONS = both (
        "SELECT c.idx FROM notice n JOIN call c ON c.object = n.id WHERE n.incident_id = $1
         UNION
         SELECT e.idx FROM proposal p JOIN call c ON c.object = p.id JOIN entry e ON e.idx = c.idx
         WHERE p.incident_id = $1 AND e.facts IS NOT NULL
         UNION
         SELECT c.idx FROM wrongful_disclosure w JOIN call c ON c.object = w.wrongful_release_id AND c.version > 1
         WHERE w.incident_id = $1 AND NOT EXISTS (
             SELECT 1 FROM wrongful_disclosure o JOIN incident i ON i.id = o.incident_id
             WHERE o.wrongful_release_id = w.wrongful_release_id AND o.incident_id <> $1 AND i.erased_at IS NULL
         )"
    );
    ERASE_STATISTIC = both ("DELETE FROM incident_statistic WHERE incident_id = $1");
    ERASE_EVIDENCE = both ("UPDATE consent SET wrapped_key = NULL, evidence = NULL WHERE id = $1 AND version = $2");
    ERASE_ENTRIES = each (
        "UPDATE entry SET wrapped_key = NULL, openings = $2, facts = NULL
         WHERE idx IN (SELECT value FROM json_each($1))",
        "UPDATE entry SET wrapped_key = NULL, openings = $2, facts = NULL
         WHERE idx = ANY(ARRAY(SELECT json_array_elements_text($1::json)::bigint))"
    );
    // Each is the entry, its holder, and the key and the openings as hexadecimal.
    STRIP_ENTRIES = each (
        "UPDATE entry SET wrapped_key = unhex(k.value ->> 2), openings = unhex(k.value ->> 3), facts = NULL
         FROM json_each($1) k WHERE entry.idx = k.value ->> 0 AND facts IS NOT NULL",
        "UPDATE entry SET wrapped_key = decode(k ->> 2, 'hex'), openings = decode(k ->> 3, 'hex'), facts = NULL
         FROM json_array_elements($1::json) k WHERE entry.idx = (k ->> 0)::bigint AND facts IS NOT NULL"
    );
    SET_SLOTS = each (
        "UPDATE entry_party SET slots = $2 FROM json_each($1) k
         WHERE entry_party.idx = k.value ->> 0 AND entry_party.agency = k.value ->> 1",
        "UPDATE entry_party SET slots = $2 FROM json_array_elements($1::json) k
         WHERE entry_party.idx = (k ->> 0)::bigint AND entry_party.agency = k ->> 1"
    );
    DROP_EVENTS_BY_ID = set ("DELETE FROM event WHERE id", "");
    DROP_EVENTS_OF_REFERENCES = both ("DELETE FROM event WHERE kind NOT IN ('release-made', 'release-received')
           AND object IN (SELECT reference FROM reference WHERE incident_id = $1)");
    DROP_EVENTS_OF_AUTHORISATIONS = both ("DELETE FROM event WHERE kind NOT IN ('release-made', 'release-received')
           AND object IN (SELECT id FROM authorisation WHERE incident_id = $1)");
    DROP_EVENTS_OF_OBLIGATIONS = both ("DELETE FROM event WHERE kind NOT IN ('release-made', 'release-received')
           AND object IN (SELECT id FROM obligation WHERE incident_id = $1)");

    RELEASES_MADE = both ("SELECT e.id, e.agency, e.due_at, e.object, e.detail, d.confirmed_at, d.external_ref
         FROM event e LEFT JOIN disposal d ON d.release = e.id
         WHERE e.agency = $1 AND e.kind = 'release-made' AND (e.due_at > $2 OR (e.due_at = $2 AND e.id > $3))
           AND ($5 = '' OR d.confirmed_at IS NULL)
         ORDER BY e.due_at, e.id LIMIT $4");
    DISPOSAL = both ("SELECT confirmed_at FROM disposal WHERE release = $1");
}
