// Leafing through a long list.

import { html } from '../lib.js';

/** @param {(page: number) => string} props.to the address of a page */
export function Pager({ label, page, pages, to }) {
  if (pages <= 1) return null;
  return html`<nav class="pager" aria-label=${label}>
    <${Step} page=${Math.min(page - 1, pages)} pages=${pages} to=${to}>Previous<//>
    <span>Page ${page.toLocaleString()} of ${pages.toLocaleString()}</span>
    <${Step} page=${page + 1} pages=${pages} to=${to}>Next<//>
  </nav>`;
}

// A link without an address is how HTML says that there is none.
function Step({ page, pages, to, children }) {
  if (page < 1 || page > pages) return html`<a class="button" role="link" aria-disabled="true">${children}</a>`;
  return html`<a class="button" href=${to(page)}>${children}</a>`;
}
