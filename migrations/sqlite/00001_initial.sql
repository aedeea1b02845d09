-- The schema of the embedded store. Ids are UUIDs in their canonical text
-- form, times are microseconds since 1970 in UTC, durations are microseconds.

-- +goose Up

create table accounts (
    id            text    not null primary key,
    email         text    not null collate nocase unique,
    first_name    text    not null,
    last_name     text    not null,
    role          text    not null,
    password_hash text    not null, -- empty: cannot sign in
    disabled_at   integer,
    created_at    integer not null
) strict, without rowid;

-- search is what a search looks at, folded by the program (SQLite folds ASCII
-- alone): name, phone, e-mail address and the digits of the phone, a line each.
create table clients (
    seq        integer primary key,
    id         text    not null unique,
    name       text    not null collate nocase,
    phone      text    not null,
    email      text    not null,
    notes      text    not null,
    attributes text    not null, -- a JSON object, as it was given
    search     text    not null,
    created_at integer not null,
    updated_at integer not null
) strict;

create index clients_by_name on clients (name, id);
create index clients_by_phone on clients (phone);

-- Which clients have three characters in a row (trigrams). It holds no text of
-- its own, so that it stays small; the triggers keep it in step.
create virtual table client_trigrams using fts5 (
    search, content = 'clients', content_rowid = 'seq', detail = 'none',
    tokenize = 'trigram case_sensitive 1'
);

-- +goose StatementBegin
create trigger clients_added after insert on clients begin
    insert into client_trigrams (rowid, search) values (new.seq, new.search);
end;
-- +goose StatementEnd

-- +goose StatementBegin
create trigger clients_deleted after delete on clients begin
    insert into client_trigrams (client_trigrams, rowid, search) values ('delete', old.seq, old.search);
end;
-- +goose StatementEnd

-- +goose StatementBegin
create trigger clients_changed after update of search on clients when old.search <> new.search begin
    insert into client_trigrams (client_trigrams, rowid, search) values ('delete', old.seq, old.search);
    insert into client_trigrams (rowid, search) values (new.seq, new.search);
end;
-- +goose StatementEnd

-- A row is a call in progress. The primary key is I2, the unique client is I1.
create table claims (
    user_id          text    not null primary key references accounts (id),
    client_id        text    not null unique references clients (id),
    call_id          text    not null,
    token            integer not null,
    started_at       integer not null,
    lease_expires_at integer not null,
    lease            integer not null -- as it was asked for
) strict, without rowid;

create index claims_by_lease on claims (lease_expires_at);
create index claims_by_start on claims (started_at);

-- Finished calls, in the order of their ends. They outlive their client, so
-- that a token is never given twice (I6).
create table calls (
    seq         integer primary key,
    id          text    not null,
    client_id   text    not null,
    user_id     text    not null,
    token       integer not null,
    started_at  integer not null,
    ended_at    integer not null,
    reason      text    not null,
    disposition text    not null,
    notes       text    not null
) strict;

create unique index calls_by_token on calls (client_id, token);

-- Like calls, logs outlive their client.
create table call_logs (
    seq                integer primary key,
    id                 text    not null unique,
    client_id          text    not null,
    user_id            text    not null,
    call_id            text,
    call_type          text    not null,
    call_status        text    not null,
    call_duration      integer, -- seconds
    notes              text    not null,
    callback_requested integer not null,
    callback_time      integer,
    call_started_at    integer,
    call_ended_at      integer,
    created_at         integer not null
) strict;

create index call_logs_by_client on call_logs (client_id, seq);
create index call_logs_by_user on call_logs (user_id, seq);

create table idempotency_keys (
    caller     text    not null,
    value      text    not null,
    digest     blob    not null,
    answer     text    not null, -- JSON
    created_at integer not null,
    primary key (caller, value)
) strict, without rowid;

create index idempotency_keys_by_age on idempotency_keys (created_at);

create table audit (
    seq     integer primary key,
    at      integer not null,
    "by"    text    not null,
    action  text    not null,
    subject text    not null,
    detail  text -- JSON
) strict;

create table api_keys (
    seq        integer primary key,
    id         text    not null unique,
    digest     blob    not null unique,
    name       text    not null,
    role       text    not null,
    rate_limit real    not null, -- requests a second; 0: none
    created_at integer not null,
    revoked_at integer
) strict;

create table sessions (
    digest     blob    not null primary key,
    user_id    text    not null references accounts (id),
    expires_at integer not null
) strict, without rowid;

create index sessions_by_user on sessions (user_id);
create index sessions_by_expiry on sessions (expires_at);

-- The last transaction of each process that writes: what tells, after a commit
-- whose answer was lost, whether it took effect.
create table writers (
    id    text    not null primary key,
    batch integer not null,
    at    integer not null
) strict, without rowid;

-- The people as reports know them, with the three columns of their call taken
-- from claims: never out of step.
create view users as
select
    id, email, first_name, last_name, role, disabled_at is not null as disabled,
    exists (select 1 from claims where user_id = accounts.id) as is_on_call,
    (select client_id from claims where user_id = accounts.id) as current_call_client_id,
    (
        select strftime('%Y-%m-%dT%H:%M:%S', started_at / 1000000, 'unixepoch') || printf('.%06dZ', started_at % 1000000)
        from claims where user_id = accounts.id
    ) as call_started_at,
    created_at
from accounts;

-- +goose StatementBegin
create trigger users_changed instead of update of email, first_name, last_name, role on users begin
    update accounts
    set email = new.email, first_name = new.first_name, last_name = new.last_name, role = new.role
    where id = old.id;
end;
-- +goose StatementEnd

-- +goose Down

drop view users;
drop table writers;
drop table sessions;
drop table api_keys;
drop table audit;
drop table idempotency_keys;
drop table call_logs;
drop table calls;
drop table claims;
drop table client_trigrams;
drop table clients;
drop table accounts;
