// Short messages to the person: shown for a while, and read aloud.

import { signal } from './lib.js';

/** What is shown: {id, kind, text}; kind is "info", "success" or "error". */
export const notices = signal([]);

/** What a screen reader is told without anything being shown. */
export const announcement = signal('');

let next = 1;

/** Shows a message. An error stays until it is closed or five more have come. */
export function notify(kind, text) {
  const notice = { id: next++, kind, text };
  const others = notices.value.filter((n) => n.text !== text);
  notices.value = [...others, notice].slice(-5);
  if (kind !== 'error') setTimeout(() => dismiss(notice.id), 8000);
}

export function dismiss(id) {
  notices.value = notices.value.filter((n) => n.id !== id);
}

/** Removes the errors: what was tried anew has not failed yet. */
export function dismissErrors() {
  notices.value = notices.value.filter((n) => n.kind !== 'error');
}

export function announce(text) {
  announcement.value = text;
}
