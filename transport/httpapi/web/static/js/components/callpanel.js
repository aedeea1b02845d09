// The call that one is on, beside everything else.

import { html, useLayoutEffect } from '../lib.js';
import { dismissCall, panel } from '../call.js';
import { keyOf, unsaved } from '../drafts.js';
import { address } from '../router.js';
import { Elapsed } from './elapsed.js';
import { LogForm } from './logform.js';

const ownTitle = 'call-panel-title';

/** Goes to the panel, for whoever follows a pointer to it. */
export function showCall() {
  const title = document.getElementById(ownTitle);
  title?.focus();
  title?.scrollIntoView({ block: 'nearest' });
}

// A call that has just begun is what one wants to be at, but whoever is in the
// middle of a word goes on there.
function showNewCall() {
  if (!document.activeElement?.matches('textarea, select, input:not([type=radio], [type=checkbox])')) showCall();
}

// When the panel goes with the focus in it, one reads on at the page.
function leaveFocus() {
  queueMicrotask(() => {
    if (document.activeElement === document.body) document.querySelector('#main h1')?.focus();
  });
}

/** The own call, and the calls that are over and whose logs wait to be saved. */
export function CallPanels() {
  return html`<div class="call-panels">
    ${panel.value && html`<${CallPanel} held=${panel.value} />`}
    ${unsaved.value.map((held) => html`<${Panel} key=${keyOf(held.call)} held=${held} titleID=${`unsaved-${keyOf(held.call)}`} />`)}
  </div>`;
}

function CallPanel({ held }) {
  useLayoutEffect(showNewCall, [keyOf(held.call)]);
  useLayoutEffect(() => leaveFocus, []);
  return html`<${Panel} held=${held} titleID=${ownTitle} />`;
}

function Panel({ held: { call, client, ended }, titleID }) {
  return html`<aside class=${`call-panel ${ended ? 'over' : ''}`} aria-labelledby=${titleID}>
    <div class="call-head">
      <h2 id=${titleID} tabindex="-1">
        <span class="call-state">${ended ? 'Call ended' : html`<span class="dot mine" aria-hidden="true"></span>On a call with`}</span>
        <a href=${address(`clients/${client.id}`)}>${client.name}</a>
      </h2>
      ${!ended && html`<div class="timer" role="timer" aria-label="Time on this call"><${Elapsed} since=${call.started_at} /></div>`}
    </div>
    ${(client.phone || client.email) &&
    html`<p class="call-contact">
      ${client.phone && html`<a href=${`tel:${client.phone}`}>${client.phone}</a>`}
      ${client.email && html`<a href=${`mailto:${client.email}`}>${client.email}</a>`}
    </p>`}
    ${ended && html`<p class="call-over"><strong>${ended}</strong> You can still save its log.</p>`}
    <${LogForm} key=${keyOf(call)} call=${call} client=${client} ended=${ended} onDismiss=${() => dismissCall(call)} />
  </aside>`;
}
