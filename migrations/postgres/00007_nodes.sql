-- +goose Up

-- The nodes of a cluster whose NATS servers run inside them. (With a NATS of its
-- own they stand in the bucket DIBS_NODES.) A row a member; one that was removed
-- stays for a while, so that all others learn of it.
CREATE TABLE nodes (
    id         text        PRIMARY KEY,
    beat       bigint      NOT NULL, -- counts the writes: a late one changes nothing
    record     text        NOT NULL,
    removed    boolean     NOT NULL DEFAULT false,
    written_at timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE nodes;
