-- +goose Up

-- Where the address was, ISO 3166-1; '' where that was not known.
ALTER TABLE redemptions ADD COLUMN country text NOT NULL DEFAULT '';

-- What a rule noticed about a redemption and let in all the same.
CREATE TABLE signals (
    launch      integer NOT NULL,
    at          timestamptz NOT NULL,
    position    bigint NOT NULL,
    signal      text NOT NULL,
    redemption  uuid NOT NULL,
    code        text NOT NULL COLLATE "C",
    campaign    integer NOT NULL,
    subject_key text NOT NULL,
    address_key text NOT NULL
);

CREATE INDEX signals_at ON signals (launch, at);

-- How much happened in 5 minutes, by campaign, country or source: what is usual
-- for a launch. It follows from redemptions and attempts, and is kept for days.
CREATE TABLE activity (
    launch    integer NOT NULL,
    dimension text NOT NULL CHECK (dimension IN ('campaign', 'country', 'source', 'refused')),
    subject   text NOT NULL,
    at        timestamptz NOT NULL,
    n         integer NOT NULL,
    PRIMARY KEY (launch, dimension, at, subject)
);

-- What was unusual. One that goes on is one row; it ends when it was not seen
-- for a while. subject is a campaign, an address' key, a country or a source.
CREATE TABLE anomalies (
    id       uuid PRIMARY KEY,
    launch   text NOT NULL,
    kind     text NOT NULL,
    subject  text NOT NULL,
    value    double precision NOT NULL,
    usual    double precision NOT NULL,
    bound    double precision NOT NULL,
    began_at timestamptz NOT NULL,
    seen_at  timestamptz NOT NULL,
    ended_at timestamptz
);

CREATE UNIQUE INDEX anomalies_open ON anomalies (launch, kind, subject) WHERE ended_at IS NULL;
CREATE INDEX anomalies_launch ON anomalies (launch, id);

-- +goose Down
DROP TABLE anomalies, activity, signals;
ALTER TABLE redemptions DROP COLUMN country;
