-- +goose Up

-- A launch, its policy, and how far its journal has come here. seq and epoch
-- move in the same transaction as the rows: they are the fence. identity is the
-- run of the Redis server that is admitted; adopting is the epoch that a heal
-- which has not ended yet wants to carry on, 0 if none; opened is the last epoch
-- in which every gateway has told what it answered before.
CREATE TABLE launches (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    version    bigint NOT NULL,
    open       boolean NOT NULL,
    policy     jsonb NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE positions (
    launch integer PRIMARY KEY REFERENCES launches (id),
    seq    bigint NOT NULL,
    epoch  bigint NOT NULL,
    bytes  bigint NOT NULL,
    identity text NOT NULL DEFAULT '',
    adopting bigint NOT NULL DEFAULT 0,
    opened   bigint NOT NULL DEFAULT 0
);

-- Where each epoch went on from: what the one before had behind it was given up.
CREATE TABLE epochs (
    launch integer NOT NULL,
    epoch  bigint NOT NULL,
    base   bigint NOT NULL,
    PRIMARY KEY (launch, epoch)
);

-- The gateways that live, and which of them have vouched in an epoch.
CREATE TABLE gateways (
    id      uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL
);

CREATE TABLE vouchers (
    launch  integer NOT NULL,
    epoch   bigint NOT NULL,
    gateway uuid NOT NULL,
    PRIMARY KEY (launch, epoch, gateway)
);

CREATE TABLE campaigns (
    launch     integer NOT NULL REFERENCES launches (id),
    number     integer NOT NULL,
    id         uuid NOT NULL UNIQUE,
    name       text NOT NULL,
    channel    text NOT NULL,
    max_uses   integer NOT NULL CHECK (max_uses >= 1),
    cap        integer NOT NULL CHECK (cap >= 0),
    used       bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    document   jsonb NOT NULL,
    PRIMARY KEY (launch, number),
    UNIQUE (launch, name)
);

CREATE TABLE codes (
    launch     integer NOT NULL,
    code       text NOT NULL COLLATE "C",
    display    text NOT NULL,
    campaign   integer NOT NULL,
    max_uses   integer CHECK (max_uses >= 1),
    used       integer NOT NULL DEFAULT 0,
    held       integer NOT NULL DEFAULT 0,
    revoked    boolean NOT NULL DEFAULT false,
    expires_at timestamptz,
    recipient_key text NOT NULL DEFAULT '',
    issuer_key text NOT NULL DEFAULT '',
    recipient  text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    position   bigint NOT NULL,
    PRIMARY KEY (launch, code),
    FOREIGN KEY (launch, campaign) REFERENCES campaigns (launch, number),
    CONSTRAINT codes_uses CHECK (0 <= held AND held <= used AND used <= max_uses)
) WITH (fillfactor = 80);

CREATE INDEX codes_campaign ON codes (launch, campaign, code);

CREATE TABLE redemptions (
    id          uuid PRIMARY KEY,
    launch      integer NOT NULL,
    code        text NOT NULL COLLATE "C",
    campaign    integer NOT NULL,
    subject     text NOT NULL,
    email       text NOT NULL,
    name        text NOT NULL,
    source      text NOT NULL,
    subject_key text NOT NULL COLLATE "C",
    address_key text NOT NULL COLLATE "C",
    proof       text NOT NULL,
    status      text NOT NULL CHECK (status IN ('held', 'committed', 'released', 'rolled_back')),
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    settled_at  timestamptz,
    settled_by  text NOT NULL DEFAULT '',
    cause       text NOT NULL DEFAULT '',
    note        text NOT NULL DEFAULT '',
    position    bigint NOT NULL
) WITH (fillfactor = 90);

CREATE UNIQUE INDEX redemptions_once ON redemptions (launch, subject_key, code) WHERE status IN ('held', 'committed');
CREATE INDEX redemptions_list ON redemptions (launch, id);
CREATE INDEX redemptions_code ON redemptions (launch, code);

-- Refusals worth keeping: failed attempts, and true reasons behind opaque ones.
CREATE TABLE attempts (
    launch      integer NOT NULL,
    at          timestamptz NOT NULL,
    position    bigint NOT NULL,
    reason      text NOT NULL,
    counted     boolean NOT NULL,
    verb        text NOT NULL,
    code        text NOT NULL COLLATE "C",
    subject_key text NOT NULL,
    address_key text NOT NULL
);

CREATE INDEX attempts_at ON attempts (launch, at);
CREATE INDEX attempts_code ON attempts (launch, code);

CREATE TABLE visits (
    launch   integer NOT NULL,
    code     text NOT NULL COLLATE "C",
    campaign integer NOT NULL,
    opened   bigint NOT NULL,
    PRIMARY KEY (launch, code)
);

-- What operators did: to a launch, a campaign or codes.
CREATE TABLE changes (
    launch   integer NOT NULL,
    position bigint NOT NULL,
    ordinal  integer NOT NULL,
    at       timestamptz NOT NULL,
    kind     text NOT NULL,
    subject  text NOT NULL COLLATE "C",
    detail   jsonb NOT NULL,
    actor    text NOT NULL,
    note     text NOT NULL,
    PRIMARY KEY (launch, position, ordinal, subject)
);

CREATE INDEX changes_subject ON changes (launch, kind, subject);

-- The journal itself, the audit trail, by month.
CREATE TABLE journal (
    launch integer NOT NULL,
    epoch  bigint NOT NULL,
    seq    bigint NOT NULL,
    at     timestamptz NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (launch, seq, epoch, at)
) PARTITION BY RANGE (at);

CREATE TABLE journal_other PARTITION OF journal DEFAULT;

-- What Redis decided and the constraints here did not let in.
CREATE TABLE conflicts (
    launch   integer NOT NULL,
    position bigint NOT NULL,
    ordinal  integer NOT NULL,
    at       timestamptz NOT NULL,
    kind     text NOT NULL,
    detail   text NOT NULL,
    event    text NOT NULL,
    PRIMARY KEY (launch, position, ordinal, kind)
);

-- Records that could not be read or applied at all.
CREATE TABLE parked (
    launch   integer NOT NULL,
    position bigint NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    error    text NOT NULL,
    record   text NOT NULL,
    PRIMARY KEY (launch, position)
);

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    name         text NOT NULL,
    hash         bytea NOT NULL UNIQUE,
    scopes       text[] NOT NULL,
    launch       text NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);

CREATE TABLE idempotency (
    scope        text NOT NULL,
    key          text NOT NULL,
    request      bytea NOT NULL,
    status       integer,
    content_type text NOT NULL DEFAULT '',
    body         bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key)
);

CREATE INDEX idempotency_age ON idempotency (created_at);

-- Mintings too large to answer at once.
CREATE TABLE mint_jobs (
    id         uuid PRIMARY KEY,
    launch     text NOT NULL,
    campaign   integer NOT NULL,
    count      integer NOT NULL,
    done       integer NOT NULL DEFAULT 0,
    error      text NOT NULL DEFAULT '',
    actor      text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz
);

-- +goose Down
DROP TABLE mint_jobs, idempotency, api_keys, parked, conflicts, journal, changes, visits, attempts, redemptions, codes, campaigns, epochs, vouchers, gateways, positions, launches;
