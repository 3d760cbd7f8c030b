-- Whether a proposal is a document of the library: what it says is sealed and can be erased, and this stays.
ALTER TABLE proposal ADD COLUMN is_document INTEGER NOT NULL DEFAULT 0;
UPDATE proposal SET is_document = 1
 WHERE kind IN ('guidance', 'standard', 'caf-feedback', 'international', 'threat-assessment', 'learning');
