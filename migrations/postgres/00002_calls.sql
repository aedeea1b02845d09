-- +goose Up

-- A row is a call in progress. The primary key is I2 (a user is in at most one
-- call), the unique client is I1 (a client is in at most one). There are no
-- foreign keys: they would lock two more rows a claim. A claim checks that both
-- exist as it is made, and who deletes a client keeps claims out meanwhile.
--
-- Rows live for minutes, and thousands come and go a second. So the table is
-- vacuumed after a fixed number of dead rows whatever its size, without pauses,
-- and never truncated, because that takes a lock that stops every claim.
CREATE TABLE claims (
    user_id          uuid        PRIMARY KEY,
    client_id        uuid        NOT NULL UNIQUE,
    call_id          uuid        NOT NULL,
    started_at       timestamptz NOT NULL,
    lease_expires_at timestamptz NOT NULL,
    lease            interval    NOT NULL, -- as it was asked for
    token            bigint      NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);

CREATE INDEX claims_lease_idx ON claims (lease_expires_at);

-- The finished calls. Their unique tokens are I6; the highest of a client is
-- what its next claim counts on from, so rows outlive their client.
CREATE TABLE calls (
    id          uuid        PRIMARY KEY,
    client_id   uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    token       bigint      NOT NULL,
    reason      text        NOT NULL,
    disposition text        NOT NULL DEFAULT '',
    notes       text        NOT NULL DEFAULT '',
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    UNIQUE (client_id, token)
);

-- What users wrote down. A log outlives its user and its client.
CREATE TABLE call_logs (
    id                 uuid        PRIMARY KEY,
    client_id          uuid        NOT NULL,
    user_id            uuid        NOT NULL,
    call_id            uuid,
    call_type          text        NOT NULL,
    call_status        text        NOT NULL,
    call_duration      bigint, -- seconds
    notes              text        NOT NULL,
    callback_requested boolean     NOT NULL,
    callback_time      timestamptz,
    call_started_at    timestamptz,
    call_ended_at      timestamptz,
    created_at         timestamptz NOT NULL
);

CREATE INDEX call_logs_newest_idx ON call_logs (created_at DESC, id DESC);
CREATE INDEX call_logs_client_idx ON call_logs (client_id, created_at DESC, id DESC);
CREATE INDEX call_logs_user_idx ON call_logs (user_id, created_at DESC, id DESC);

-- The answers of commands that came with an idempotency key (I8), for 24
-- hours. A row is made first, which keeps out a second use of the key, and
-- filled in the same transaction: the room on each page lets it stay there.
CREATE TABLE idempotency_keys (
    caller     text        NOT NULL,
    key        text        NOT NULL,
    digest     bytea       NOT NULL,
    answer     json, -- null only inside the transaction that makes it
    created_at timestamptz NOT NULL,
    PRIMARY KEY (caller, key)
) WITH (fillfactor = 60);

CREATE INDEX idempotency_keys_created_idx ON idempotency_keys (created_at);

CREATE TABLE audit (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    by      text        NOT NULL,
    action  text        NOT NULL,
    subject text        NOT NULL,
    detail  json
);

-- The users of the spec: its three columns are read from claims, so they are
-- never out of step with what is in progress. They are scalar subqueries, which
-- leaves every other column of the view updatable.
CREATE VIEW users AS
SELECT a.id, a.first_name, a.last_name, a.email, a.role, a.disabled, a.created_at,
       EXISTS (SELECT 1 FROM claims c WHERE c.user_id = a.id)           AS is_on_call,
       (SELECT c.client_id FROM claims c WHERE c.user_id = a.id)        AS current_call_client_id,
       (SELECT c.started_at FROM claims c WHERE c.user_id = a.id)       AS call_started_at
FROM accounts a;

-- +goose Down
DROP VIEW users;
DROP TABLE audit;
DROP TABLE idempotency_keys;
DROP TABLE call_logs;
DROP TABLE calls;
DROP TABLE claims;
