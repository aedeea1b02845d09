-- +goose Up

-- Rows of the outbox of which something could not be read, as they were, for
-- whoever looks for the reason. What could be read of them was published. Nothing
-- is ever removed from here by dibs.
CREATE TABLE outbox_unreadable (
    id           bigint      PRIMARY KEY, -- as in outbox
    written_at   timestamptz NOT NULL,
    events       bytea       NOT NULL,
    reason       text        NOT NULL,
    set_aside_at timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE outbox_unreadable;
