-- Who may not call or receive for now. `suspended` is an agency's id, or that, `/` and an officer's pseudonym; `officer`
-- is the officer's own name where it is one of the holder's. What is not here is not suspended: the entries remember.
CREATE TABLE suspension (
    suspended TEXT NOT NULL,
    holder TEXT NOT NULL,
    officer TEXT,
    suspended_at INTEGER NOT NULL,
    suspended_by TEXT NOT NULL,
    PRIMARY KEY (suspended, holder)
) STRICT;

CREATE INDEX suspension_holder ON suspension (holder, suspended);
