-- A token of a client that was disabled stays ended when the client is let in again.
ALTER TABLE clients ADD COLUMN tokens_ended_at bigint;
