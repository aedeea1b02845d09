// Addresses within the page: what comes after the # names a page and its
// parameters, as in #/clients?search=ana&page=2. The server never sees it.

import { computed, signal } from './lib.js';
import { query } from './api.js';

const hash = signal(location.hash);

addEventListener('hashchange', () => {
  hash.value = location.hash;
});

/** {name, id, parameters} of the page that is shown. */
export const route = computed(() => {
  const [path, search = ''] = hash.value.replace(/^#\/?/, '').split('?');
  const [name, id = ''] = path.split('/');
  return { name: name || 'clients', id, parameters: Object.fromEntries(new URLSearchParams(search)) };
});

/** The address of a page, for a link. */
export const address = (path, parameters = {}) => `#/${path}${query(parameters)}`;

/** Goes to a page; replace keeps the one before out of the browser's history. */
export function go(path, parameters = {}, replace = false) {
  const to = address(path, parameters);
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  hash.value = location.hash;
}
