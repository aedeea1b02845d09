// Logs that are being written. The browser keeps them until they are saved, so
// that a reload or a crash loses nothing; its tabs share them.

import { signal } from './lib.js';
import { onOtherTab, recall, remember } from './storage.js';

const empty = { status: '', notes: '', callback: false, callbackTime: '' };

/** So many drafts are kept, the latest; who leaves more lying does not miss them. */
const most = 20;

// The start tells one's calls apart, also those whose id is not known.
const keyOf = (call) => String(Date.parse(call.started_at));

const all = () => recall('drafts') ?? {};

/** What is written about a call so far. */
export const draftOf = (call) => ({ ...empty, ...all()[keyOf(call)] });

export function keepDraft(call, draft) {
  const entries = Object.entries({ ...all(), [keyOf(call)]: draft });
  remember('drafts', Object.fromEntries(entries.slice(-most)));
}

export function dropDraft(call) {
  const { [keyOf(call)]: gone, ...others } = all();
  if (gone) remember('drafts', others);
}

const isWritten = ({ status, notes, callback }) => Boolean(status || notes.trim() || callback);

/** Calls {call, client, ended} that are over and whose logs stand beside the next call. */
export const unsaved = signal([]);

/** Reads what was set aside, for who is signed in now. */
export function readUnsaved() {
  unsaved.value = recall('unsaved') ?? [];
}

function setUnsaved(entries) {
  unsaved.value = entries;
  remember('unsaved', entries);
}

/** Sets a call that is over aside, if something is written about it. */
export function setAside(held) {
  if (!isWritten(draftOf(held.call))) return;
  setUnsaved([...unsaved.value.filter((u) => u.call.id !== held.call.id), held]);
}

/**
 * Brings what was set aside about a client into the next call with the same
 * client: saved by itself it would end that call.
 */
export function takeUp(call) {
  const before = unsaved.value.find((u) => u.call.client_id === call.client_id);
  if (!before) return;
  if (!isWritten(draftOf(call))) keepDraft(call, draftOf(before.call));
  dropUnsaved(before.call);
}

export function dropUnsaved(call) {
  dropDraft(call);
  setUnsaved(unsaved.value.filter((u) => u.call.id !== call.id));
}

onOtherTab('unsaved', readUnsaved);
