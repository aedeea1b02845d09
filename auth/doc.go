// Package auth makes and checks what people and programs prove themselves
// with: passwords and opaque bearer tokens. It keeps nothing; the store does.
//
// Passwords are kept as argon2id hashes. A hash costs tens of megabytes on
// purpose, so [Passwords] holds all hashing of a process to one budget of
// memory: many people who sign in at once wait for each other, and never take
// the machine down. Checking the password of somebody unknown costs as much as
// checking a wrong one, so that the time of an answer does not tell who has an
// account.
//
// Tokens are 256 random bits. Only their SHA-256 digest is stored: it needs no
// salt and no slow hash, because there is nothing to guess.
package auth
