-- +goose Up

-- People who make calls. Programs that know the schema of the dialer before
-- dibs read and write them through the view users (see 00002).
CREATE TABLE accounts (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    email         text        NOT NULL,
    first_name    text        NOT NULL DEFAULT '',
    last_name     text        NOT NULL DEFAULT '',
    role          text        NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    password_hash text        NOT NULL DEFAULT '', -- empty: cannot sign in
    disabled      boolean     NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now()
);

-- E-mail addresses are the same whatever their case.
CREATE UNIQUE INDEX accounts_email_key ON accounts (lower(email));

CREATE TABLE sessions (
    digest     bytea       PRIMARY KEY, -- of the token; the token itself is nowhere
    user_id    uuid        NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

CREATE INDEX sessions_user_idx ON sessions (user_id);
CREATE INDEX sessions_expires_idx ON sessions (expires_at);

CREATE TABLE api_keys (
    id         uuid             PRIMARY KEY,
    digest     bytea            NOT NULL UNIQUE,
    name       text             NOT NULL,
    role       text             NOT NULL,
    rate_limit double precision NOT NULL DEFAULT 0, -- requests a second; 0: none
    created_at timestamptz      NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

-- attributes is json and not jsonb: what a team's CRM sent is given back to
-- the letter, and no valid JSON is refused (jsonb refuses \u0000).
--
-- search is what a search looks through. The digits of the phone number stand
-- in it once more by themselves, so that they are found however the number is
-- spelled. The line breaks keep a search from matching across two fields.
CREATE TABLE clients (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text        NOT NULL,
    phone      text        NOT NULL DEFAULT '',
    email      text        NOT NULL DEFAULT '',
    notes      text        NOT NULL DEFAULT '',
    attributes json        NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search     text        NOT NULL GENERATED ALWAYS AS (
        lower(name || E'\n' || phone || E'\n' || email) || E'\n' || regexp_replace(phone, '[^0-9]', '', 'g')
    ) STORED
);

CREATE INDEX clients_name_idx ON clients (name, id);
CREATE INDEX clients_phone_idx ON clients (phone);

-- Searching a million clients wants trigrams. pg_trgm is a trusted extension
-- (the owner of the database may create it), but a server can lack it or an
-- administrator forbid it; then a search reads the whole table: slower, and
-- as right.
-- +goose StatementBegin
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'without pg_trgm the search for clients is slow: %', SQLERRM;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    home text := (SELECT quote_ident(n.nspname) FROM pg_extension e
                  JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm');
BEGIN
    IF home IS NOT NULL THEN
        EXECUTE format('CREATE INDEX clients_search_idx ON clients USING gin (search %s.gin_trgm_ops)', home);
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE clients;
DROP TABLE api_keys;
DROP TABLE sessions;
DROP TABLE accounts;
