-- +goose Up

-- Which clients have a trigram, by ranges of trigrams: two characters are found
-- as the beginnings of three. It is a view of client_trigrams and holds nothing.
create virtual table client_trigram_places using fts5vocab (client_trigrams, instance);

-- +goose Down

drop table client_trigram_places;
