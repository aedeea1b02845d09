-- +goose Up

-- How many times a server began to use this database. One that lost its place for
-- a moment learns from it whether another one had it meanwhile.
CREATE TABLE occupation (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one), -- there is one
    epoch bigint  NOT NULL DEFAULT 0
);
INSERT INTO occupation DEFAULT VALUES;

-- +goose Down
DROP TABLE occupation;
