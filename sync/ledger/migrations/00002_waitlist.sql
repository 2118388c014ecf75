-- +goose Up

-- How far a launch's clock is ahead of Redis' own, in a rehearsal.
ALTER TABLE launches ADD COLUMN ahead_ms bigint NOT NULL DEFAULT 0;

-- A place on the waitlist; its key is a keyed hash of the e-mail address. boosts
-- is the packed list that Redis holds too; code is its last offer's, whatever
-- became of it.
CREATE TABLE entries (
    launch      integer NOT NULL REFERENCES launches (id),
    key         text NOT NULL COLLATE "C",
    email       text NOT NULL,
    name        text NOT NULL,
    source      text NOT NULL,
    status      text NOT NULL CHECK (status IN ('waiting', 'invited', 'registered', 'declined', 'expired', 'left')),
    arrival     bigint NOT NULL CHECK (arrival > 0),
    priority    integer NOT NULL,
    boosts      text NOT NULL,
    referrer    text NOT NULL COLLATE "C",
    referrals   integer NOT NULL DEFAULT 0,
    unconfirmed boolean NOT NULL,
    counted     boolean NOT NULL,
    address_key text NOT NULL,
    proof       text NOT NULL,
    joined_at   timestamptz NOT NULL,
    invited_at  timestamptz,
    settled_at  timestamptz,
    code        text NOT NULL DEFAULT '' COLLATE "C",
    offer_ends  timestamptz,
    release     text NOT NULL DEFAULT '' COLLATE "C",
    position    bigint NOT NULL,
    PRIMARY KEY (launch, key)
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX entries_arrival ON entries (launch, arrival);
CREATE INDEX entries_email ON entries (launch, lower(email) text_pattern_ops);
CREATE INDEX entries_line ON entries (launch,
    (CASE WHEN status = 'waiting' THEN (1048576 - priority)::bigint * 4294967296 + arrival ELSE 9007199254740992 + arrival END));
CREATE INDEX entries_release ON entries (launch, release) WHERE release <> '';

-- A cohort. done is how many offers of it are outstanding or redeemed, made how
-- many it has ever made.
CREATE TABLE releases (
    launch   integer NOT NULL REFERENCES launches (id),
    id       text NOT NULL COLLATE "C",
    count    integer NOT NULL CHECK (count >= 1),
    done     integer NOT NULL DEFAULT 0 CHECK (0 <= done AND done <= count),
    made     integer NOT NULL DEFAULT 0,
    "order"  text NOT NULL,
    seed     text NOT NULL,
    upto     bigint NOT NULL,
    slot     timestamptz,
    at       timestamptz NOT NULL,
    ended    boolean NOT NULL DEFAULT false,
    actor    text NOT NULL,
    note     text NOT NULL,
    PRIMARY KEY (launch, id)
);

-- Whether releases run. since is when they were started or paused, or the slot
-- that the schedule served last; made is how many places it has released.
CREATE TABLE schedules (
    launch  integer PRIMARY KEY REFERENCES launches (id),
    running boolean NOT NULL DEFAULT false,
    since   timestamptz,
    made    bigint NOT NULL DEFAULT 0
);

-- +goose Down
DROP TABLE schedules, releases, entries;
ALTER TABLE launches DROP COLUMN ahead_ms;
