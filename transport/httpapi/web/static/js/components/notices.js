import { html } from '../lib.js';
import { announcement, dismiss, notices } from '../notices.js';
import { CloseIcon } from './icons.js';

/**
 * The messages in the corner. The regions stand in the page from the start, or
 * screen readers would miss the first message: errors interrupt, others wait.
 */
export function Notices() {
  const errors = notices.value.filter((n) => n.kind === 'error');
  const others = notices.value.filter((n) => n.kind !== 'error');
  return html`<div class="notices">
    <div role="alert">${errors.map((n) => html`<${Notice} key=${n.id} notice=${n} />`)}</div>
    <div role="status">${others.map((n) => html`<${Notice} key=${n.id} notice=${n} />`)}</div>
  </div>`;
}

function Notice({ notice }) {
  return html`<div class=${`notice ${notice.kind}`}>
    <p>${notice.text}</p>
    <button type="button" class="icon-button" aria-label="Close this message" onClick=${() => dismiss(notice.id)}><${CloseIcon} /></button>
  </div>`;
}

/** Changes that are seen anyway, for those who do not see them. */
export function Announcer() {
  return html`<div class="visually-hidden" role="status" data-testid="announcer">${announcement}</div>`;
}
