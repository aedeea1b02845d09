-- How far the walk has come that looks for calls which are kept no longer.

-- +goose Up

create table retention (
    one       integer not null primary key check (one = 1), -- there is one
    seq       integer, -- of calls: it goes on behind this one; null: there is none under way
    walked_at integer -- when the last walk came to its end; null: none has
) strict;

insert into retention (one) values (1);

create index call_logs_by_time on call_logs (created_at);

-- +goose Down

drop index call_logs_by_time;
drop table retention;
