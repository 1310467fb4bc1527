-- Refusals are bounded in number, whatever their age: anybody can cause them.
CREATE INDEX audit_refusals ON audit (id) WHERE action = 'request.refused';

-- Which browsers are known as ones that signed in: those whose cookie has this number. Another password and "sign out
-- everywhere" raise it.
ALTER TABLE users ADD COLUMN known_browsers bigint NOT NULL DEFAULT 0;

-- 1 where the browser of a request was signed in when the request came: it does not make room for others.
ALTER TABLE authorization_requests ADD COLUMN is_signed_in bigint NOT NULL DEFAULT 0;
