-- +goose Up

-- E-mails, one for each key of a launch. recipient and data are a person's, whom
-- the journal knows as who: data (codes and links) is emptied once an e-mail is
-- sent, both when the person is erased. An attempt that is under way has moved
-- next_at behind its own end. launch is a name, as in webhook_endpoints.
CREATE TABLE mails (
    id         uuid PRIMARY KEY,
    launch     text NOT NULL,
    kind       text NOT NULL,
    key        text NOT NULL,
    recipient  text NOT NULL,
    who        text NOT NULL,
    data       jsonb NOT NULL,
    status     text NOT NULL CHECK (status IN ('queued', 'sent', 'dead', 'suppressed')),
    attempts   integer NOT NULL DEFAULT 0,
    round      integer NOT NULL DEFAULT 0,
    error      text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    next_at    timestamptz,
    tried_at   timestamptz,
    sent_at    timestamptz,
    CONSTRAINT mails_once UNIQUE (launch, key)
) WITH (fillfactor = 80);

CREATE INDEX mails_launch ON mails (launch, id);
CREATE INDEX mails_recipient ON mails (launch, lower(recipient));
CREATE INDEX mails_who ON mails (launch, who);
CREATE INDEX mails_queued ON mails (launch, created_at) WHERE status = 'queued';
CREATE INDEX mails_ended ON mails (launch, id) WHERE status IN ('dead', 'suppressed');

-- +goose Down
DROP TABLE mails;
