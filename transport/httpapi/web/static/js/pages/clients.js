// The list of clients: whom one may call, and who is being called.

import { html, useEffect, useMemo, useRef, useSignal } from '../lib.js';
import { query } from '../api.js';
import { ClientForm, DeleteClient } from '../components/clientform.js';
import { ClientRow } from '../components/clientrow.js';
import { PlusIcon, SearchIcon } from '../components/icons.js';
import { Loading } from '../components/loading.js';
import { Pager } from '../components/pager.js';
import { useFetched } from '../fetching.js';
import { count } from '../format.js';
import { announce } from '../notices.js';
import { address, go, route } from '../router.js';
import { isAdmin } from '../session.js';

const sizes = [50, 200, 1000];

export function ClientsPage() {
  const { search = '', page = '1', limit = '50' } = route.value.parameters;
  const list = useFetched(`/api/clients${query({ search, page, limit })}`);
  const dialog = useSignal(null);
  useEffect(() => {
    document.title = 'Clients · dibs';
  }, []);
  const { clients, totalCount = 0, totalPages = 0, page: shownPage = 1 } = list.data.value ?? {};
  useEffect(() => {
    if (clients && search) announce(`${count(totalCount, 'client')} found.`);
  }, [clients]);
  const pager = (label) =>
    html`<${Pager} label=${label} page=${shownPage} pages=${totalPages} to=${(n) => address('clients', { search, page: n, limit })} />`;
  const empty = emptyText(search, totalCount, address('clients', { search, page: totalPages, limit }));
  const long = clients?.length > 20;
  return html`<div class=${`page ${long ? 'pager-below' : ''}`}>
    <div class="page-head">
      <h1 tabindex="-1">Clients</h1>
      <button type="button" class="primary" onClick=${() => (dialog.value = { add: true })}><${PlusIcon} />Add client</button>
    </div>
    <div class="toolbar">
      <${Search} search=${search} limit=${limit} />
      <${PageSize} search=${search} limit=${limit} />
      <p class="total">${clients ? count(totalCount, 'client') : ''}</p>
      ${pager('Pages of clients')}
    </div>
    ${list.error.value && html`<div role="alert" class="form-error">${list.error} <button type="button" onClick=${list.reload}>Try again</button></div>`}
    ${!clients && list.loading.value && html`<${Loading} />`}
    ${clients && html`<${Table} clients=${clients} loading=${list.loading.value} empty=${empty} dialog=${dialog} />`}
    ${long && pager('Pages of clients, below the list')}
    <${Dialogs} dialog=${dialog} onDone=${list.reload} />
  </div>`;
}

function Search({ search, limit }) {
  const timer = useRef(0);
  const input = useRef(null);
  // The address is the truth: going back in the history changes the field.
  useEffect(() => {
    if (input.current !== document.activeElement) input.current.value = search;
  }, [search]);
  const find = (wait) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => go('clients', { search: input.current?.value.trim(), limit }, true), wait);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  const submit = (e) => {
    e.preventDefault();
    find(0);
  };
  return html`<form role="search" class="search" onSubmit=${submit}>
    <label class="visually-hidden" for="search">Search clients</label>
    <${SearchIcon} />
    <input
      ref=${input}
      id="search"
      type="search"
      placeholder="Name, phone or e-mail"
      defaultValue=${search}
      onInput=${() => find(250)}
    />
  </form>`;
}

function PageSize({ search, limit }) {
  return html`<label class="page-size">
    <span>Rows</span>
    <select value=${limit} onChange=${(e) => go('clients', { search, limit: e.target.value })}>
      ${sizes.map((n) => html`<option key=${n} value=${String(n)}>${n.toLocaleString()}</option>`)}
    </select>
  </label>`;
}

// Why a list is empty. Somebody may have deleted what was on its last page.
function emptyText(search, total, lastPage) {
  if (total > 0) return html`The list has fewer pages. <a href=${lastPage}>Go to the last page</a>`;
  return search ? `No client matches “${search}”.` : 'There are no clients yet.';
}

// The roles are those that the elements have anyway: rows are laid out as
// grids, for which some browsers take their meaning away.
function Table({ clients, loading, empty, dialog }) {
  const onEdit = useMemo(() => (client) => (dialog.value = { edit: client }), []);
  const onDelete = useMemo(() => (client) => (dialog.value = { remove: client }), []);
  if (clients.length === 0) {
    return html`<p class="empty">${empty}</p>`;
  }
  return html`<table role="table" class=${`clients ${isAdmin() ? 'can-delete' : ''} ${clients.length > 100 ? 'long-list' : ''}`} aria-busy=${loading}>
    <caption class="visually-hidden">Clients</caption>
    <thead role="rowgroup">
      <tr role="row">
        <th role="columnheader" scope="col">Name</th>
        <th role="columnheader" scope="col">Phone</th>
        <th role="columnheader" scope="col">E-mail</th>
        <th role="columnheader" scope="col">State</th>
        <th role="columnheader" scope="col"><span class="visually-hidden">Actions</span></th>
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${clients.map((client) => html`<${ClientRow} key=${client.id} client=${client} onEdit=${onEdit} onDelete=${onDelete} />`)}
    </tbody>
  </table>`;
}

function Dialogs({ dialog, onDone }) {
  const close = () => (dialog.value = null);
  const { add, edit, remove } = dialog.value ?? {};
  if (add) return html`<${ClientForm} onDone=${onDone} onClose=${close} />`;
  if (edit) return html`<${ClientForm} client=${edit} onDone=${onDone} onClose=${close} />`;
  if (remove) return html`<${DeleteClient} client=${remove} onDone=${onDone} onClose=${close} />`;
  return null;
}
