-- +goose Up

-- What telephony services reported, so that each event takes effect once (I8)
-- and a call that is over never begins. Both tables only grow at the end of
-- time and are cut at its beginning, some days later.

-- An event: the digest of its source and id.
CREATE TABLE reported_events (
    event uuid        PRIMARY KEY,
    at    timestamptz NOT NULL
);

CREATE INDEX reported_events_at_idx ON reported_events (at);

-- A call that was reported to have begun, or to be over before anybody had
-- heard of it. Two transactions that do one each meet at the primary key.
CREATE TABLE reported_calls (
    call_id     uuid        PRIMARY KEY,
    source      uuid        NOT NULL, -- digest of who reported it
    occurred_at timestamptz NOT NULL, -- by the source's clock
    at          timestamptz NOT NULL
);

CREATE INDEX reported_calls_at_idx ON reported_calls (at);

-- +goose Down
DROP TABLE reported_calls;
DROP TABLE reported_events;
