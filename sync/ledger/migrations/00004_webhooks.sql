-- +goose Up

-- Where a launch's events are told to. secret and previous are sealed; previous
-- signs too until its time is over. launch is a name: an endpoint may be made
-- before the syncer has met the launch.
CREATE TABLE webhook_endpoints (
    id          uuid PRIMARY KEY,
    launch      text NOT NULL,
    url         text NOT NULL,
    description text NOT NULL,
    events      text[] NOT NULL,
    codes       boolean NOT NULL,
    secret      text NOT NULL,
    previous    text NOT NULL DEFAULT '',
    previous_until timestamptz,
    created_at  timestamptz NOT NULL,
    disabled_at timestamptz,
    disabled_reason text NOT NULL DEFAULT '',
    failing_since timestamptz
);

CREATE INDEX webhook_endpoints_launch ON webhook_endpoints (launch, id);

-- What is told: the bodies as they are sent. revealed shows codes in full, ''
-- where no endpoint asked for that.
CREATE TABLE webhook_messages (
    id       uuid PRIMARY KEY,
    launch   text NOT NULL,
    type     text NOT NULL,
    at       timestamptz NOT NULL,
    body     text NOT NULL,
    revealed text NOT NULL
);

CREATE INDEX webhook_messages_at ON webhook_messages (at);

CREATE TABLE webhook_deliveries (
    id          uuid PRIMARY KEY,
    endpoint    uuid NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    message     uuid NOT NULL REFERENCES webhook_messages (id) ON DELETE CASCADE,
    state       text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts    integer NOT NULL DEFAULT 0,
    round       integer NOT NULL DEFAULT 0,
    next_at     timestamptz,
    tried_at    timestamptz,
    status      integer NOT NULL DEFAULT 0,
    error       text NOT NULL DEFAULT '',
    duration_ms integer NOT NULL DEFAULT 0,
    response    text NOT NULL DEFAULT '',
    UNIQUE (endpoint, message)
) WITH (fillfactor = 80);

CREATE INDEX webhook_deliveries_state ON webhook_deliveries (endpoint, state);
CREATE INDEX webhook_deliveries_message ON webhook_deliveries (message);

-- +goose Down
DROP TABLE webhook_deliveries, webhook_messages, webhook_endpoints;
