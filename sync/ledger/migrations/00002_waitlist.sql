-- +goose Up

-- How far a launch's clock is ahead of Redis' own, in a rehearsal.
ALTER TABLE launches ADD COLUMN ahead_ms bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE launches DROP COLUMN ahead_ms;
