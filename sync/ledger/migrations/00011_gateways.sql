-- +goose Up

-- A gateway that reaches Postgres, but not Redis, says so: nobody waits long
-- for what it cannot vouch for.
ALTER TABLE gateways ADD COLUMN cut_off boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE gateways DROP COLUMN cut_off;
