-- +goose Up

-- The events of committed batches until they are published (I7), as many in a row
-- as fit into a page: they are only ever read and removed as a whole. What they
-- look like is said in package persistence. They are not compressed: random ids
-- do not get smaller, and a start would wait for the attempt.
--
-- Rows live for milliseconds, and hundreds come and go a second. As with claims,
-- vacuum comes after a fixed number of dead rows, without pauses, and never
-- truncates.
CREATE TABLE outbox (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    written_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    events     bytea       NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false,
    toast_tuple_target = 8160, -- only a row that no page can take is moved out
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 20000,
    toast.autovacuum_vacuum_cost_delay = 0,
    toast.vacuum_truncate = false
);

ALTER TABLE outbox ALTER COLUMN events SET STORAGE EXTERNAL;

-- +goose Down
DROP TABLE outbox;
