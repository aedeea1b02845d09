// What the page knows of calls in progress and of people.
//
// Calls come as snapshots, as events (at least once, in order for one client
// only) and as answers to the page's own requests, in any order among each
// other. So all is kept by call id: a call that is known to have ended never
// comes back, one that comes twice replaces itself. Of two calls of one client
// the one with the higher token counts, of two of one user the later one.
//
// A burst of events is shown once a frame.

import { batch, signal } from './lib.js';

const endedKept = 5000;

const calls = new Map(); // live calls by call id
const ended = new Map(); // call id → {reason, at}, the latest
const people = new Map(); // everybody, by id
let byClient = new Map();
let byUser = new Map();

const callsVersion = signal(0);
const peopleVersion = signal(0);

/** Whether anything was heard of the server's calls yet, and when all of them were known last (local time). */
export const known = signal(false);
export const heardAt = signal(0);

/** The live call {call, user, client} with a client, or of a user. Reading subscribes. */
export const callOfClient = (id) => (callsVersion.value, byClient.get(id));
export const callOfUser = (id) => (callsVersion.value, byUser.get(id));

/** All live calls by user. Reading subscribes. */
export const callsByUser = () => (callsVersion.value, byUser);

/** Everybody, in the server's order. Reading subscribes. */
export const everybody = () => (peopleVersion.value, [...people.values()]);

/** How a call ended, if that was heard. */
export const endOf = (callID) => ended.get(callID);

let applied = 0;

/** A number that changes with whatever is learned, to tell what is newer. */
export const changes = () => applied;

/** The stream's snapshot: all calls in progress. */
export function applySnapshot(live) {
  calls.clear();
  for (const entry of live) keep(entry);
  heardAll();
  batch(() => {
    known.value = true;
    publish();
  });
}

export function applyStarted({ call, user, client }) {
  calls.delete(standIn(call));
  heard();
  keep({ call, user, client, learned: applied });
  publishSoon();
}

export function applyEnded({ call, reason, at }) {
  markEnded(standIn(call), { reason, at });
  markEnded(call.id, { reason, at });
  heard();
  publishSoon();
}

/** What an answer to a request of this page says: shown at once. */
export function learnStarted(entry) {
  applyStarted(entry);
  publish();
}

export function learnEnded(call, reason) {
  applyEnded({ call, reason });
  publish();
}

/** Who holds a client, as a refusal says it. */
export function learnHolder(client, caller) {
  const call = { user_id: caller.id, client_id: client.id, started_at: caller.call_started_at, token: 0 };
  call.id = standIn(call);
  heard();
  keep({ call, client, user: { id: caller.id, first_name: caller.name }, learned: applied });
  publish();
}

/**
 * The list of everybody and their calls, which has their ids and no tokens.
 * @param {number} asked what changes() was when the list was asked for: calls
 *   that were learned since may be missing in it, and stay
 */
export function applyStatuses(users, asked) {
  const before = byUser;
  const newer = [...calls.values()].filter((entry) => entry.learned > asked);
  people.clear();
  calls.clear();
  for (const user of users) {
    people.set(user.id, user);
    if (user.is_on_call) keep(statusCall(user, before.get(user.id)));
  }
  newer.forEach(keepNewer);
  heardAll();
  batch(() => {
    known.value = true;
    peopleVersion.value++;
    publish();
  });
}

// Whoever is on a later call, or is called in a later one, is not in this one. And
// a stand-in is of no use where its call is known.
function keepNewer(entry) {
  const { call } = entry;
  const begun = Date.parse(call.started_at);
  const rivals = [...calls.values()].map((e) => e.call).filter((c) => c.user_id === call.user_id || c.client_id === call.client_id);
  if (rivals.some((c) => Date.parse(c.started_at) > begun || standIn(c) === call.id)) return;
  for (const { id } of rivals) calls.delete(id);
  keep(entry);
}

/** The list of everybody alone, while calls come by the stream. */
export function applyPeople(users) {
  people.clear();
  for (const user of users) people.set(user.id, user);
  peopleVersion.value++;
}

/** Forgets everything, for somebody else to sign in. */
export function clear() {
  for (const map of [calls, ended, people]) map.clear();
  batch(() => {
    known.value = false;
    peopleVersion.value++;
    publish();
  });
}

// The id of a call whose own is not known: a refusal says who calls, and since
// when. Whoever brings the own one replaces it.
const standIn = (call) => `${call.user_id} ${Date.parse(call.started_at)}`;

/** Whether a call has its own id, by which the server knows it. */
export const isNamed = (call) => call.id !== standIn(call);

function statusCall(user, previous) {
  if (previous && previous.call.id === user.current_call_id) return previous; // and its token
  const call = {
    user_id: user.id,
    client_id: user.current_call_client_id,
    started_at: user.call_started_at,
    token: 0, // not known: such a call can be shown and ended, not renewed
  };
  call.id = user.current_call_id ?? standIn(call);
  return { call, user, client: user.clients ?? { id: call.client_id, name: 'a client', phone: '', email: '' } };
}

function keep(entry) {
  if (!ended.has(entry.call.id)) calls.set(entry.call.id, entry);
}

function markEnded(id, how) {
  calls.delete(id);
  if (!ended.get(id)?.reason) ended.set(id, how);
  if (ended.size > endedKept) ended.delete(ended.keys().next().value);
}

function heard() {
  applied++;
}

// What one answer says of one call makes the other rows no younger.
function heardAll() {
  heard();
  heardAt.value = Date.now();
}

let scheduled = false;

function publishSoon() {
  if (scheduled) return;
  scheduled = true;
  // A hidden page gets no frames.
  if (document.hidden) setTimeout(publish, 100);
  else requestAnimationFrame(publish);
}

function publish() {
  scheduled = false;
  byClient = new Map();
  byUser = new Map();
  for (const entry of calls.values()) {
    const { client_id: client, user_id: user, token, started_at: since } = entry.call;
    if (!(byClient.get(client)?.call.token > token)) byClient.set(client, entry);
    if (!(Date.parse(byUser.get(user)?.call.started_at) > Date.parse(since))) byUser.set(user, entry);
  }
  callsVersion.value++;
}
