// Whether the end of the own call is under way. The tabs of a browser tell each
// other: of a call that one is ending the others often hear that it is over before
// that one has its answer, and would take it for somebody else's doing.

import { signal } from './lib.js';
import { endingKeeps } from './config.js';
import { forget, onOtherTab, recall, remember } from './storage.js';

/** Whether this tab is ending the call. */
export const ending = signal(false);

const endingThere = signal(false);

/** Whether any tab is. Reading subscribes. */
export const isEnding = () => ending.value || endingThere.value;

// Tells the mark of this tab from that of another.
const tab = Math.random();

export function beginEnding(call) {
  ending.value = true;
  remember('ending', { call: call.id, at: Date.now(), tab });
}

export function endEnding() {
  ending.value = false;
  if (recall('ending')?.tab === tab) forget('ending');
}

let giveUp = 0;

// Whoever said so may be closed before it has its answer.
onOtherTab('ending', () => {
  clearTimeout(giveUp);
  endingThere.value = Boolean(recall('ending'));
  if (endingThere.value) giveUp = setTimeout(() => (endingThere.value = false), endingKeeps);
});
