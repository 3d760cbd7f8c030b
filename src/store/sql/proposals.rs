//! Proposals: texts, what was put to whom, answers and messages.

use super::Sql;

statements! {
    PROPOSALS_BY_ID = set (
        "SELECT id, opener, kind, is_document, incident_id, opened_at, wrapped_key, outcome, why, concluded_by, concluded_at,
                published_at
         FROM proposal WHERE id", " ORDER BY id"
    );
    // $3 1: documents alone.
    PROPOSALS_OPENED = both (
        "SELECT id FROM proposal WHERE opener = $1 AND ($2 = '' OR kind = $2) AND is_document >= $3 AND id > $4
         ORDER BY id LIMIT $5"
    );
    PROPOSALS_PUT_TO = both (
        "SELECT p.id FROM proposal p WHERE p.opener = $1 AND ($2 = '' OR p.kind = $2) AND p.is_document >= $3 AND p.id > $4
           AND EXISTS (SELECT 1 FROM proposal_put u WHERE u.proposal_id = p.id AND u.agency = $5)
         ORDER BY p.id LIMIT $6"
    );
    // What a proposal says is apart from where it stands: a list opens what it shows, and no more.
    PROPOSAL_TEXTS = set (
        "SELECT proposal_id, version, digest, written_by FROM proposal_text WHERE proposal_id",
        " ORDER BY proposal_id, version DESC"
    );
    // $2 0: every version.
    PROPOSAL_WORDS = both (
        "SELECT version, sealed FROM proposal_text WHERE proposal_id = $1 AND (version = $2 OR $2 = 0) ORDER BY version"
    );
    PROPOSAL_PUTS = set (
        "SELECT proposal_id, agency, version, purpose, answer_by, put_at FROM proposal_put WHERE proposal_id",
        " ORDER BY proposal_id, version, agency"
    );
    PROPOSAL_ANSWERS = set (
        "SELECT proposal_id, agency, number, version, answer, answered_at
         FROM proposal_answer WHERE proposal_id", " ORDER BY proposal_id, answered_at, agency, number"
    );
    PROPOSAL_SAID = both (
        "SELECT agency, number, sealed FROM proposal_answer WHERE proposal_id = $1 ORDER BY agency, number"
    );
    // $2 empty: with every agency.
    PROPOSAL_MESSAGES = both (
        "SELECT agency, number, sender, sealed, sent_at FROM proposal_message
         WHERE proposal_id = $1 AND ($2 = '' OR agency = $2) ORDER BY agency, number LIMIT $3"
    );
    PROPOSAL_EXCHANGED = both (
        "SELECT COUNT(*), CAST(COALESCE(SUM(attached_bytes), 0) AS BIGINT) FROM proposal_message
         WHERE proposal_id = $1 AND agency = $2"
    );
    PROPOSAL_ATTACHMENT = both (
        "SELECT sealed FROM proposal_attachment WHERE proposal_id = $1 AND agency = $2 AND number = $3 AND place = $4"
    );
    CONCLUDE_PROPOSAL = both (
        "UPDATE proposal SET outcome = $1, why = $2, concluded_by = $3, concluded_at = $4
         WHERE id = $5 AND outcome IS NULL"
    );
    PUBLISH_PROPOSAL = both ("UPDATE proposal SET published_at = $1 WHERE id = $2 AND published_at IS NULL");
    PROPOSALS_ABOUT = both ("SELECT id FROM proposal WHERE incident_id = $1 AND wrapped_key IS NOT NULL ORDER BY id");
    ERASE_PROPOSALS = set ("UPDATE proposal SET wrapped_key = NULL, why = NULL WHERE id", "");
    ERASE_PROPOSAL_TEXTS = set ("DELETE FROM proposal_text WHERE proposal_id", "");
    ERASE_PROPOSAL_ANSWERS = set ("DELETE FROM proposal_answer WHERE proposal_id", "");
    ERASE_PROPOSAL_MESSAGES = set ("DELETE FROM proposal_message WHERE proposal_id", "");
    ERASE_PROPOSAL_ATTACHMENTS = set ("DELETE FROM proposal_attachment WHERE proposal_id", "");
    DROP_PROPOSALS_EVENTS = set ("DELETE FROM event WHERE object", "");
}
