// Logs that are being written. The browser keeps them until they are saved, so
// that a reload or a crash loses nothing; its tabs share them: what is written in
// one stands in all, and each writes only what was changed in it.

import { signal } from './lib.js';
import { onOtherTab, recall, remember } from './storage.js';

const empty = { status: '', notes: '', callback: false, callbackTime: '' };

/** So many drafts are kept, the latest; who leaves more lying does not miss them. */
const most = 20;

// The start tells one's calls apart, also those whose id is not known.
export const keyOf = (call) => String(Date.parse(call.started_at));

const all = () => recall('drafts') ?? {};

// Changes with each draft, here or in another tab.
const version = signal(0);

function reread() {
  version.value++;
}

/** What is written about a call so far. Reading subscribes. */
export const draftOf = (call) => (version.value, { ...empty, ...all()[keyOf(call)] });

/** Keeps what was changed of a draft; the rest stays as it is. */
export function keepDraft(call, values) {
  const entries = Object.entries({ ...all(), [keyOf(call)]: { ...draftOf(call), ...values } });
  remember('drafts', Object.fromEntries(entries.slice(-most)));
  reread();
}

function dropDraft(call) {
  const { [keyOf(call)]: gone, ...others } = all();
  if (!gone) return;
  remember('drafts', others);
  reread();
}

/** Whether something is written about a call. Reading subscribes. */
export function isWritten(call) {
  const { status, notes, callback } = draftOf(call);
  return Boolean(status || notes.trim() || callback);
}

/** A draft as it is now, to be compared with what it is later. */
export const snapshotOf = (call) => JSON.stringify(draftOf(call));

/** Calls {call, client, ended} that are over and whose logs stand beside the next call. */
export const unsaved = signal([]);

const setAsideSoFar = () => recall('unsaved') ?? [];

/** Reads what was set aside, for who is signed in now. */
export function readUnsaved() {
  unsaved.value = setAsideSoFar();
}

// Of what another tab may have changed just now, too.
function setUnsaved(call, ...added) {
  const entries = [...setAsideSoFar().filter((u) => keyOf(u.call) !== keyOf(call)), ...added];
  unsaved.value = entries;
  remember('unsaved', entries);
}

/** Sets a call that is over aside, if something is written about it. */
export function setAside(held) {
  if (isWritten(held.call)) setUnsaved(held.call, held);
}

/**
 * Brings what was set aside about a client into the next call with the same
 * client: saved by itself it would end that call.
 */
export function takeUp(call) {
  const before = setAsideSoFar().find((u) => u.call.client_id === call.client_id);
  if (!before) return;
  if (isWritten(before.call) && !isWritten(call)) keepDraft(call, draftOf(before.call));
  dropUnsaved(before.call);
}

export function dropUnsaved(call) {
  dropDraft(call);
  setUnsaved(call);
}

onOtherTab('unsaved', readUnsaved);
onOtherTab('drafts', reread);
document.addEventListener('visibilitychange', reread); // a page that was put away was told nothing
