-- A document is put without a time by which it is answered.
ALTER TABLE proposal_put ALTER COLUMN answer_by DROP NOT NULL;
