import { html } from '../lib.js';

/** Stands where a list will be. It shows itself only when that takes a while. */
export const Loading = () => html`<p class="empty loading">Loading…</p>`;
