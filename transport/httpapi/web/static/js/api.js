// Requests to the server. The session travels in a cookie that no script sees.

import { requestTimeout } from './config.js';
import { sampleDate } from './clock.js';

/** A request that was not carried out, or of which that is not known. */
export class ApiError extends Error {
  /**
   * @param {string} code one of the server's codes, or "network": no answer came
   * @param {string} sentence for a person
   * @param {object} [body] the whole answer
   */
  constructor(code, sentence, body = {}) {
    super(sentence);
    this.code = code;
    this.body = body;
  }
}

let signedOut = () => {};

/** Registers what happens when the server no longer knows the session. */
export function onSignedOut(f) {
  signedOut = f;
}

/**
 * Asks the server and returns the body of a success.
 * @param {{body?: object, key?: string, signal?: AbortSignal}} [how] key: an idempotency key
 * @throws {ApiError}
 */
export async function request(method, path, how = {}) {
  const headers = { Accept: 'application/json' };
  if (how.body !== undefined) headers['Content-Type'] = 'application/json';
  if (how.key) headers['Idempotency-Key'] = how.key;
  const timeout = AbortSignal.timeout(requestTimeout);
  const asked = Date.now();
  let response;
  let body;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: how.body === undefined ? undefined : JSON.stringify(how.body),
      credentials: 'same-origin',
      // A browser's cache has a PUT wait for a GET of the same address that is
      // still under way; whoever claims a client does not wait for a slow poll.
      cache: method === 'GET' ? 'default' : 'no-store',
      signal: how.signal ? AbortSignal.any([timeout, how.signal]) : timeout,
    });
    sampleDate(response.headers.get('Date'), asked, Date.now());
    body = await response.json();
  } catch (cause) {
    if (how.signal?.aborted) throw cause; // given up by the page itself
    throw unreadable(response);
  }
  if (response.ok) return body;
  if (response.status === 401 && path !== '/api/auth/login') signedOut();
  throw new ApiError(body.code ?? 'internal', body.error ?? 'Something went wrong on the server.', body);
}

// A proxy in between answers for a server that is away, and not in JSON.
function unreadable(response) {
  const sentence = 'The server cannot be reached. Please check your connection.';
  return new ApiError('network', response ? 'The server gave an answer that this page cannot read.' : sentence);
}

const passing = new Set(['network', 'overloaded', 'unavailable', 'outcome_unknown']);

/**
 * Asks, and asks again a few times when no clear answer came. The key is the
 * same each time, so that the server does it at most once.
 */
export async function insist(method, path, body, key = newKey()) {
  for (let tries = 1; ; tries++) {
    try {
      return await request(method, path, { body, key });
    } catch (e) {
      if (tries === 4 || !passing.has(e.code)) throw e;
    }
    await new Promise((resolve) => setTimeout(resolve, 300 * 2 ** tries));
  }
}

// A fresh idempotency key. randomUUID is missing where there is no TLS.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

/** A query string of what is not empty. */
export function query(parameters) {
  const given = Object.entries(parameters).filter(([, v]) => v !== undefined && v !== '' && v !== null);
  return given.length ? `?${new URLSearchParams(given)}` : '';
}
