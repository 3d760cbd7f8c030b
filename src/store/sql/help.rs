//! Offers of help.

use super::Sql;

statements! {
    HELP_OFFER = both (
        "SELECT id, holder, organisation_id, help, state, version, offered_at, answered_at FROM help_offer
         WHERE holder = $1 AND organisation_id = $2 AND help = $3"
    );
    HELP_OFFERS = both (
        "SELECT id, holder, organisation_id, help, state, version, offered_at, answered_at FROM help_offer
         WHERE holder = $1 AND id > $2 AND ($4 = '' OR organisation_id = $4) ORDER BY id LIMIT $3"
    );
    CHANGE_HELP_OFFER = both (
        "UPDATE help_offer SET state = $1, version = $2, offered_at = $3, answered_at = $4
         WHERE id = $5 AND version = $2 - 1"
    );
    // With the last incident of their organisation.
    DROP_HELP_OFFERS = both (
        "DELETE FROM help_offer
         WHERE organisation_id = (SELECT organisation_id FROM incident WHERE id = $1 AND erased_at IS NULL)
           AND NOT EXISTS (SELECT 1 FROM incident i WHERE i.organisation_id = help_offer.organisation_id
                           AND i.erased_at IS NULL AND i.id <> $1)"
    );
}
