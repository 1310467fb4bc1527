-- Up to which minute issued tokens are summed up. What sums them up locks the row, as what counts and removes events does.
ALTER TABLE audit_tally ADD COLUMN summarized_to text NOT NULL DEFAULT '';
