-- +goose Up

-- Rows of the outbox of which something could not be read, as they were, for
-- whoever looks for the reason. What could be read of them was published. Nothing
-- is ever removed from here by dibs.
create table outbox_unreadable (
    seq          integer primary key, -- as in outbox
    written_at   integer not null,
    events       blob    not null,
    reason       text    not null,
    set_aside_at integer not null
) strict;

-- +goose Down

drop table outbox_unreadable;
