-- +goose Up

-- The events of committed batches until they are published (I7), a row a batch.
-- autoincrement: an id is never given twice, or a row could be cleared by the
-- name of another that was published before.
create table outbox (
    seq        integer primary key autoincrement,
    written_at integer not null,
    events     blob    not null -- as package persistence encodes them
) strict;

-- +goose Down

drop table outbox;
