-- +goose Up

-- Members, as their records in Redis say, of who got more than admission; and
-- who they are. record is what Redis holds. An erased member keeps its place.
CREATE TABLE members (
    launch      integer NOT NULL,
    subject_key text NOT NULL COLLATE "C",
    subject     text NOT NULL DEFAULT '',
    email       text NOT NULL DEFAULT '',
    name        text NOT NULL DEFAULT '',
    tier        text NOT NULL,
    method      text NOT NULL,
    campaign    integer NOT NULL,
    inviter_key text NOT NULL COLLATE "C",
    rounds      bigint NOT NULL CHECK (rounds >= -1),
    used        bigint NOT NULL,
    until       timestamptz,
    allotment   bigint NOT NULL CHECK (allotment >= -1),
    referrals   bigint NOT NULL CHECK (referrals >= 0),
    code        text NOT NULL COLLATE "C",
    private     boolean NOT NULL,
    joined_at   timestamptz,
    erased_at   timestamptz,
    record      text NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY (launch, subject_key)
) WITH (fillfactor = 80);

CREATE INDEX members_inviter ON members (launch, inviter_key) WHERE inviter_key <> '';
CREATE INDEX members_email ON members (launch, email) WHERE email <> '';
CREATE INDEX redemptions_email ON redemptions (launch, email) WHERE email <> '';
CREATE INDEX codes_issuer ON codes (launch, issuer_key) WHERE issuer_key <> '';
CREATE INDEX codes_recipient ON codes (launch, recipient_key) WHERE recipient_key <> '';

-- Why members' records changed.
CREATE TABLE member_events (
    launch      integer NOT NULL,
    position    bigint NOT NULL,
    ordinal     integer NOT NULL,
    at          timestamptz NOT NULL,
    subject_key text NOT NULL COLLATE "C",
    cause       text NOT NULL,
    ref         text NOT NULL,
    PRIMARY KEY (launch, position, ordinal)
);

CREATE INDEX member_events_subject ON member_events (launch, subject_key, position);

CREATE TABLE milestones (
    launch      integer NOT NULL,
    subject_key text NOT NULL COLLATE "C",
    milestone   bigint NOT NULL,
    invites     integer NOT NULL,
    at          timestamptz NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY (launch, subject_key, milestone)
);

CREATE TABLE activities (
    launch      integer NOT NULL,
    at          timestamptz NOT NULL,
    subject_key text NOT NULL COLLATE "C",
    name        text NOT NULL,
    position    bigint NOT NULL
);

CREATE INDEX activities_at ON activities (launch, at);
CREATE INDEX activities_subject ON activities (launch, subject_key, at);

-- When the slot began that each launch's refill has served last, in ms.
CREATE TABLE refills (
    launch integer PRIMARY KEY REFERENCES launches (id),
    slot   bigint NOT NULL
);

-- +goose Down
DROP TABLE refills, activities, milestones, member_events, members;
DROP INDEX redemptions_email, codes_issuer, codes_recipient;
