// Times that the page goes by. All in milliseconds unless the name says so.

/**
 * How long the server keeps a call when nothing more is heard of the page. Long
 * enough for a restart of the browser, a short way through a tunnel, or a phone
 * that puts the page to sleep while its owner speaks; short enough that nobody
 * has to clean up after a lost laptop.
 */
export const leaseSeconds = 600;

/** How often an open page renews the lease of its own call. */
export const renewEvery = 30_000;

/** How soon it tries again when a renewal did not get through. */
export const renewAgain = 5_000;

/** How often the status is asked for while live events cannot be had. */
export const pollEvery = 30_000;

/** How often it asks anew for a status that was overtaken while it was on its way. */
export const pollTries = 3;

/** Silence after which the stream is taken for dead; the server pings every 15 s. */
export const silence = 25_000;

/** The first wait before the stream is opened again, and the longest. */
export const reconnectFirst = 500;
export const reconnectMost = 8_000;

/** How often the stream may fail before the page settles for polling. */
export const failuresBeforePolling = 3;

/**
 * How long a hidden page keeps its stream. Browsers allow six connections to a
 * server over HTTP/1.1, for all tabs together.
 */
export const hiddenKeeps = 20_000;

/** How long a request may take. */
export const requestTimeout = 10_000;

/** How long a tab waits for another one that is ending the call: all its tries, and the pauses between them. */
export const endingKeeps = 4 * requestTimeout + 10_000;

/** How soon the server is asked again who is signed in, when it could not say. */
export const resumeAgain = 3_000;

/** From here on a call is a long one, marked for the team to see. */
export const longCall = 60 * 60_000;

/** What the server's clean-up ends (its default). */
export const staleCall = 2 * 60 * 60_000;
