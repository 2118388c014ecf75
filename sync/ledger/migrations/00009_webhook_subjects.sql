-- +goose Up

-- Whom a message names, by the key of the subject or entry: what is erased is
-- taken out of messages too. '' for one that names nobody.
ALTER TABLE webhook_messages ADD COLUMN subject_key text NOT NULL DEFAULT '' COLLATE "C";

CREATE INDEX webhook_messages_subject ON webhook_messages (launch, subject_key) WHERE subject_key <> '';

-- +goose Down
ALTER TABLE webhook_messages DROP COLUMN subject_key;
