-- +goose Up

-- One index finds a redemption by its id and lists a launch's: each that is
-- kept besides slows the syncer down.
ALTER TABLE redemptions DROP CONSTRAINT redemptions_pkey, ADD PRIMARY KEY (launch, id);
DROP INDEX redemptions_list;

-- +goose Down
CREATE INDEX redemptions_list ON redemptions (launch, id);
ALTER TABLE redemptions DROP CONSTRAINT redemptions_pkey, ADD PRIMARY KEY (id);
