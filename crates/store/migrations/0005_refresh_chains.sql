-- The tokens of a family are a chain: the family names its newest token, and each token the one before it. So a rotation
-- changes one index that is ordered by chance, that of the digests, and none beside it. Where tokens of a family were
-- swept, the chain closes over them.
ALTER TABLE refresh_tokens ADD COLUMN predecessor bytea;
UPDATE refresh_tokens SET predecessor =
    (SELECT p.digest FROM refresh_tokens p
     WHERE p.family_id = refresh_tokens.family_id AND p.generation < refresh_tokens.generation
     ORDER BY p.generation DESC LIMIT 1);

ALTER TABLE refresh_families ADD COLUMN newest_digest bytea;
UPDATE refresh_families SET newest_digest =
    (SELECT t.digest FROM refresh_tokens t
     WHERE t.family_id = refresh_families.id ORDER BY t.generation DESC LIMIT 1);

DROP INDEX refresh_tokens_by_family;
