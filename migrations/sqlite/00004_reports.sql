-- What telephony services reported, so that each event takes effect once (I8)
-- and a call that is over never begins.

-- +goose Up

-- An event: the digest of its source and id, as a UUID.
create table reported_events (
    event text    not null primary key,
    at    integer not null
) strict, without rowid;

create index reported_events_by_age on reported_events (at);

-- A call that was reported to have begun, or to be over before anybody had
-- heard of it.
create table reported_calls (
    call_id     text    not null primary key,
    source      text    not null, -- digest of who reported it
    occurred_at integer not null, -- by the source's clock
    at          integer not null
) strict, without rowid;

create index reported_calls_by_age on reported_calls (at);

-- A report asks whether a call has ended.
create index calls_by_id on calls (id);

-- +goose Down

drop index calls_by_id;
drop table reported_calls;
drop table reported_events;
