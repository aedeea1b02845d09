// The own call: claiming, renewing, ending, and finding it again.
//
// There is one truth, the live call of the signed-in user in the store; the
// panel follows it. Whatever ends the call without the person's doing leaves
// the panel standing with what happened, so that nothing typed is lost.

import { effect, signal, untracked } from './lib.js';
import { insist, request } from './api.js';
import { serverNow } from './clock.js';
import { leaseSeconds, renewAgain, renewEvery } from './config.js';
import { dropUnsaved, readUnsaved, setAside, snapshotOf, takeUp, unsaved } from './drafts.js';
import { beginEnding, endEnding, isEnding } from './ending.js';
import { personName } from './format.js';
import { connection, refresh } from './live.js';
import { announce, dismissErrors, notify } from './notices.js';
import { me } from './session.js';
import { forget, onOtherTab, recall, remember } from './storage.js';
import { callOfClient, callOfUser, endOf, isNamed, known, learnEnded, learnHolder, learnStarted } from './store.js';

/** The call on the panel: {call, client, ended: ''} or, with ended, why it is over. */
export const panel = signal(null);

/** The client that is being claimed right now, by id. */
export const claiming = signal(null);

/** Claims a client. The panel opens when the server has said yes, and not before. */
export async function startCall(client) {
  if (claiming.value) return;
  claiming.value = client.id;
  dismissErrors();
  announce(`Claiming ${client.name}…`);
  try {
    const body = { action: 'start_call', client_id: client.id, lease_seconds: leaseSeconds };
    const answer = await insist('PUT', '/api/user-status', body);
    keepRecord(answer.call, client);
    learnStarted({ call: answer.call, user: answer.user, client });
  } catch (e) {
    refused(client, e);
  } finally {
    claiming.value = null;
  }
  refresh();
}

// A refusal says what the server knows, so the page knows it from now on too.
function refused(client, e) {
  notify('error', e.message);
  const { call, caller } = e.body ?? {};
  if (e.code === 'user_on_call' && call && !callOfUser(me.value.id)) {
    request('GET', `/api/clients/${call.client_id}`)
      .then((found) => learnStarted({ call, user: me.value, client: found.client }))
      .catch(() => {});
  }
  if (e.code === 'client_being_called' && caller && !callOfClient(client.id)) learnHolder(client, caller);
}

/** Ends the call on the panel, with what was noted. @throws {ApiError} */
export async function endCall(notes) {
  const { call } = panel.value;
  // By its name, or the next one, begun elsewhere, would be ended in its place. The
  // list of everybody has no tokens, and a refusal not even the name.
  const named = { ...(isNamed(call) ? { call_id: call.id } : {}), ...(call.token ? { token: call.token } : {}) };
  const body = { action: 'end_call', ...named, ...(notes ? { notes } : {}) };
  await settle(call, 'completed', () => insist('PUT', '/api/user-status', body));
}

/** Saves the log of a call; the server ends the call with it. @throws {ApiError} */
export async function saveLog(call, log) {
  await settle(call, 'log_saved', () => insist('POST', '/api/call-logs', log));
}

async function settle(call, reason, send) {
  beginEnding(call);
  const held = panel.value;
  const sent = snapshotOf(call);
  try {
    await send();
    const shown = panel.value?.call.id === call.id;
    // What was typed meanwhile, here or in another tab, was not sent.
    if (snapshotOf(call) === sent) dropUnsaved(call);
    else if (shown) setAside({ ...held, ended: 'What was written last is not saved.' });
    if (shown) {
      putAway();
      learnEnded(call, reason);
    }
  } finally {
    endEnding();
  }
  refresh();
}

/** Closes the panel of a call that is over, and drops what was written about it. */
export function dismissCall(call) {
  dropUnsaved(call);
  if (panel.value?.call.id === call.id) putAway();
}

function putAway() {
  forget('call');
  panel.value = null;
}

const sameStart = (a, b) => Date.parse(a) === Date.parse(b);

function keepRecord(call, client) {
  remember('call', { user: me.value.id, call, client, renewed: Date.now() });
}

function ownRecord() {
  const record = recall('call');
  return record && record.user === me.value?.id ? record : null;
}

// What is written is that person's own.
effect(() => {
  if (me.value) untracked(readUnsaved);
  else unsaved.value = [];
});

// The panel follows the store, except while this person is ending the call.
effect(() => {
  const user = me.value;
  const live = user && known.value ? callOfUser(user.id) : undefined;
  if (isEnding()) return;
  untracked(() => {
    if (!user || !known.value) panel.value = null;
    else follow(live);
  });
});

function follow(live) {
  const shown = panel.value;
  if (live) {
    show(live, shown);
    return;
  }
  const gone = shown ?? ownRecord();
  if (!gone || gone.ended) return;
  // Not having heard of the call is not having heard that it is over: the
  // server is asked by renewing it.
  if (gone.call.token && !endOf(gone.call.id)) renew(gone);
  else over(gone, shown !== null);
}

function show(live, shown) {
  const call = withLease(live.call);
  if (shown && !shown.ended && shown.call.id === call.id && (shown.call.token || !call.token)) return;
  const before = shown ?? ownRecord();
  if (before && !sameStart(before.call.started_at, call.started_at)) {
    setAside({ call: before.call, client: before.client, ended: before.ended || whyOver(endOf(before.call.id)?.reason, before.call) });
  }
  takeUp(call);
  panel.value = { call, client: live.client, ended: '' };
  const kept = ownRecord()?.call;
  if (kept?.id !== call.id || (call.token && !kept.token)) keepRecord(call, live.client);
  if (shown && !shown.ended && sameStart(shown.call.started_at, call.started_at)) return; // its token became known
  announce(`You are on a call with ${live.client.name}.`);
}

// The status list has no token and an event the lease of the beginning; what
// this browser kept of the call may know better.
function withLease(call) {
  const kept = ownRecord()?.call;
  if (!kept) return call;
  const same = kept.id === call.id || sameStart(kept.started_at, call.started_at);
  return same && kept.token ? kept : call;
}

// Who ended it? The page itself and other tabs forget the record first, and drop
// what they saved; whoever else did it must not take away what is being typed.
function over(record, wasShown) {
  const end = endOf(record.call.id);
  if (wasShown && !ownRecord()) {
    setAside({ call: record.call, client: record.client, ended: endedInOtherTab });
    panel.value = null;
    notify('info', `The call with ${record.client.name} has ended.`);
    return;
  }
  const why = whyOver(end?.reason, record.call);
  panel.value = { call: record.call, client: record.client, ended: why };
  announce(`Your call with ${record.client.name} is over. ${why}`);
}

const endedInOtherTab = 'This call was ended in another tab.';

function whyOver(reason, call) {
  switch (reason) {
    case 'completed':
    case 'log_saved':
      return 'This call was ended by the telephone system, another device or another program.';
    case 'force_released':
      return 'An administrator ended this call.';
    case 'superseded':
      return 'The telephone system reported that this call is over.';
    case 'expired':
      return 'This call was ended because nothing was heard of this page for too long.';
  }
  if (Date.parse(call.lease_expires_at) <= serverNow()) {
    return 'This call ran out while this page was away or offline. The client is free for others.';
  }
  return 'This call was ended elsewhere while this page was away.';
}

onOtherTab('call', () => {
  if (!recall('user')) return; // signed out there: this page begins anew
  const record = ownRecord();
  const shown = panel.value;
  if (!record) {
    if (shown?.ended) {
      setAside(shown);
      panel.value = null;
    } else if (shown) learnEnded(shown.call, 'completed');
  } else if (record.call.id !== shown?.call.id) {
    learnStarted({ call: record.call, user: me.value, client: record.client });
  } else if (!shown.ended) {
    panel.value = { ...shown, call: record.call }; // renewed there
  }
});

/** Renews the lease while somebody is signed in; returns how to stop. */
export function keepRenewing() {
  const timer = setInterval(renewIfDue, renewAgain);
  return () => clearInterval(timer);
}

let renewing = false;

// All tabs of the browser take turns.
function renewIfDue() {
  const held = panel.value;
  if (!held || held.ended || !held.call.token || isEnding()) return;
  if (Date.now() - (ownRecord()?.renewed ?? 0) >= renewEvery) renew(held);
}

async function renew({ call, client }) {
  if (renewing) return;
  renewing = true;
  try {
    const body = { action: 'renew_call', call_id: call.id, token: call.token, lease_seconds: leaseSeconds };
    const answer = await request('PUT', '/api/user-status', { body });
    if (isEnding() || endOf(call.id) || !me.value) return;
    keepRecord(answer.call, client);
    if (panel.value?.call.id === call.id) panel.value = { ...panel.value, call: answer.call };
    learnStarted({ call: answer.call, user: me.value, client });
  } catch (e) {
    if (e.code === 'call_over' && !isEnding()) learnEnded(call);
  } finally {
    renewing = false;
  }
}

// Back from being away: is the call still ours?
effect(() => {
  if (connection.value === 'live') untracked(renewIfDue);
});

/** How a live call looks to the one who is signed in: "mine", "taken" or "free". */
export function stateOf(live) {
  if (!live) return 'free';
  return live.call.user_id === me.value?.id ? 'mine' : 'taken';
}

export const callerName = (live) => personName(live.user);
