-- A rotation inserts its token and changes its family, and no other token: when and from where a token was rotated is
-- said by its successor, and the one seal of a family that is needed stands in the family.
ALTER TABLE refresh_tokens ADD COLUMN address text;
UPDATE refresh_tokens SET address =
    (SELECT p.rotated_from FROM refresh_tokens p
     WHERE p.family_id = refresh_tokens.family_id AND p.generation = refresh_tokens.generation - 1);

-- The successor of the token before the live one. It is erased when the grace is over, which counts from
-- `seal_counts_from`: the rotation, or for bound tokens the end of the family, from its beginning on.
ALTER TABLE refresh_families ADD COLUMN successor_sealed bytea;
ALTER TABLE refresh_families ADD COLUMN seal_counts_from bigint;
UPDATE refresh_families SET
    successor_sealed = (SELECT t.successor_sealed FROM refresh_tokens t
                        WHERE t.family_id = refresh_families.id AND t.successor_sealed IS NOT NULL
                        ORDER BY t.generation DESC LIMIT 1),
    seal_counts_from = CASE WHEN is_bound <> 0 THEN expires_at
                       ELSE (SELECT t.seal_counts_from FROM refresh_tokens t
                             WHERE t.family_id = refresh_families.id AND t.successor_sealed IS NOT NULL
                             ORDER BY t.generation DESC LIMIT 1) END
    WHERE ended_at IS NULL;
CREATE INDEX refresh_families_by_seal ON refresh_families (seal_counts_from) WHERE seal_counts_from IS NOT NULL;

DROP INDEX refresh_tokens_by_seal;
ALTER TABLE refresh_tokens DROP COLUMN rotated_at;
ALTER TABLE refresh_tokens DROP COLUMN rotated_from;
ALTER TABLE refresh_tokens DROP COLUMN successor_sealed;
ALTER TABLE refresh_tokens DROP COLUMN seal_counts_from;
