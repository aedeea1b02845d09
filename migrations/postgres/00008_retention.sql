-- +goose Up

-- How far the walk has come that looks for calls which are kept no longer. There
-- is one for all nodes: whoever holds this row walks.
CREATE TABLE retention (
    one       boolean     PRIMARY KEY DEFAULT true CHECK (one), -- there is one
    page      bigint, -- of calls, where it goes on; null: there is none under way
    walked_at timestamptz -- when the last walk came to its end; null: none has
);
INSERT INTO retention DEFAULT VALUES;

-- +goose Down
DROP TABLE retention;
