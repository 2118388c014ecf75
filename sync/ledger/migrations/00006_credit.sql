-- +goose Up

-- What is known of payments, and what subjects' purchases give: records as
-- Redis holds them, and what reports need of them.
CREATE TABLE payments (
    launch      integer NOT NULL,
    key         text NOT NULL COLLATE "C",
    id          text NOT NULL COLLATE "C",
    subject_key text NOT NULL COLLATE "C",
    amount      bigint NOT NULL CHECK (amount >= 0),
    currency    text NOT NULL,
    refunded    bigint NOT NULL CHECK (refunded >= 0),
    paid_at     timestamptz,
    first_at    timestamptz NOT NULL,
    record      text NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY (launch, key)
) WITH (fillfactor = 80);

CREATE INDEX payments_subject ON payments (launch, subject_key) WHERE subject_key <> '';

CREATE TABLE earnings (
    launch       integer NOT NULL,
    subject_key  text NOT NULL COLLATE "C",
    status       text NOT NULL,
    payment      text NOT NULL COLLATE "C",
    referrer_key text NOT NULL COLLATE "C",
    to_referrer  bigint NOT NULL,
    to_referee   bigint NOT NULL,
    currency     text NOT NULL,
    due_at       timestamptz,
    changed_at   timestamptz NOT NULL,
    record       text NOT NULL,
    position     bigint NOT NULL,
    PRIMARY KEY (launch, subject_key)
) WITH (fillfactor = 80);

CREATE INDEX earnings_referrer ON earnings (launch, referrer_key) WHERE referrer_key <> '';
CREATE INDEX earnings_due ON earnings (launch, due_at) WHERE status IN ('pending', 'approved');

-- Money that moved: every movement has two entries that come to nothing
-- together, one on the member's account and one on the programme's (key '').
-- Nothing here is ever changed or deleted; a balance is a sum.
CREATE TABLE credit_entries (
    launch      integer NOT NULL,
    position    bigint NOT NULL,
    ordinal     integer NOT NULL,
    account     text NOT NULL COLLATE "C",
    amount      bigint NOT NULL CHECK (amount <> 0),
    currency    text NOT NULL,
    kind        text NOT NULL,
    referee_key text NOT NULL COLLATE "C",
    payment     text NOT NULL COLLATE "C",
    at          timestamptz NOT NULL,
    PRIMARY KEY (launch, position, ordinal, account)
);

CREATE INDEX credit_entries_account ON credit_entries (launch, account) WHERE account <> '';

-- +goose Down
DROP TABLE credit_entries, earnings, payments;
