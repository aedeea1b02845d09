// How long something has been going on, running by the server's clock. Only the
// text changes each second; nothing around it is drawn again.

import { html, useComputed } from '../lib.js';
import { now } from '../clock.js';
import { elapsed, inWords } from '../format.js';

export function Elapsed({ since }) {
  return html`<${Running} key=${since} start=${Date.parse(since)} />`;
}

function Running({ start }) {
  const text = useComputed(() => elapsed(now.value - start));
  return html`<span class="elapsed">${text}</span>`;
}

/** The same in words, for a screen reader; the text changes once a minute. */
export function InWords({ since }) {
  return html`<${Worded} key=${since} start=${Date.parse(since)} />`;
}

function Worded({ start }) {
  return html`${useComputed(() => inWords(now.value - start))}`;
}
