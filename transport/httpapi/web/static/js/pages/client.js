// One client: what is known, and the history of calls.

import { html, useEffect, useSignal } from '../lib.js';
import { query } from '../api.js';
import { CallButton, useLiveCall } from '../components/callbutton.js';
import { ClientForm, DeleteClient } from '../components/clientform.js';
import { CallState } from '../components/clientrow.js';
import { BackIcon } from '../components/icons.js';
import { Pager } from '../components/pager.js';
import { panel, stateOf } from '../call.js';
import { useFetched } from '../fetching.js';
import { dateTime, elapsed, outcomeName, personName } from '../format.js';
import { address, go, route } from '../router.js';
import { isAdmin } from '../session.js';

export function ClientPage({ id }) {
  const found = useFetched(`/api/clients/${encodeURIComponent(id)}`);
  const client = found.data.value?.client;
  useEffect(() => {
    document.title = `${client?.name ?? 'Client'} · dibs`;
  }, [client]);
  return html`<div class="page">
    <p><a class="back" href=${address('clients')}><${BackIcon} />Clients</a></p>
    <div class="page-head">
      <h1 tabindex="-1">${client?.name ?? 'Client'}</h1>
      ${client && html`<${Actions} client=${client} onChanged=${found.reload} />`}
    </div>
    ${found.error.value && html`<div role="alert" class="form-error">${found.error}</div>`}
    ${client && html`<${Details} client=${client} /><${History} id=${id} />`}
  </div>`;
}

function Actions({ client, onChanged }) {
  const dialog = useSignal('');
  const close = () => (dialog.value = '');
  return html`<div class="row-actions">
      <${CallButton} client=${client} />
      <button type="button" onClick=${() => (dialog.value = 'edit')}>Edit</button>
      ${isAdmin() && html`<button type="button" onClick=${() => (dialog.value = 'delete')}>Delete</button>`}
    </div>
    ${dialog.value === 'edit' && html`<${ClientForm} client=${client} onDone=${onChanged} onClose=${close} />`}
    ${dialog.value === 'delete' &&
    html`<${DeleteClient} client=${client} onDone=${() => go('clients')} onClose=${close} />`}`;
}

function Details({ client }) {
  const live = useLiveCall(client.id).value;
  return html`<div class=${`card details ${stateOf(live)}`}>
    ${live && html`<p class="state"><${CallState} live=${live} /></p>`}
    <dl>
      <${Fact} name="Phone">${client.phone && html`<a href=${`tel:${client.phone}`}>${client.phone}</a>`}<//>
      <${Fact} name="E-mail">${client.email && html`<a href=${`mailto:${client.email}`}>${client.email}</a>`}<//>
      ${Object.entries(client.attributes ?? {}).map(
        ([name, value]) => html`<${Fact} key=${name} name=${name}>${typeof value === 'string' ? value : JSON.stringify(value)}<//>`,
      )}
      ${client.notes && html`<${Fact} name="Notes"><span class="notes">${client.notes}</span><//>`}
    </dl>
  </div>`;
}

function Fact({ name, children }) {
  return html`<div><dt>${name}</dt><dd>${children || html`<span class="muted">None</span>`}</dd></div>`;
}

function History({ id }) {
  const page = route.value.parameters.page ?? '1';
  const logs = useFetched(`/api/call-logs${query({ clientId: id, page, limit: 25 })}`);
  const held = panel.value?.call.id;
  // A log is saved on the panel beside this page: then the call goes.
  useEffect(() => {
    if (!held) logs.reload();
  }, [held]);
  const { callLogs, totalPages = 0, page: shownPage = 1 } = logs.data.value ?? {};
  return html`<section aria-labelledby="history">
    <h2 id="history">History</h2>
    ${!isAdmin() && html`<p class="muted">The calls that you logged yourself.</p>`}
    ${logs.error.value && html`<div role="alert" class="form-error">${logs.error}</div>`}
    ${callLogs?.length === 0 && html`<p class="empty">No calls are logged yet.</p>`}
    ${callLogs?.length > 0 && html`<${Logs} logs=${callLogs} />`}
    <${Pager} label="Pages of the history" page=${shownPage} pages=${totalPages} to=${(n) => address(`clients/${id}`, { page: n })} />
  </section>`;
}

function Logs({ logs }) {
  return html`<table role="table" class="logs">
    <caption class="visually-hidden">Calls with this client, the latest first</caption>
    <thead role="rowgroup">
      <tr role="row">
        ${['When', 'Outcome', 'Duration', 'Who', 'Notes'].map((name) => html`<th key=${name} role="columnheader" scope="col">${name}</th>`)}
      </tr>
    </thead>
    <tbody role="rowgroup">${logs.map((log) => html`<${Log} key=${log.id} log=${log} />`)}</tbody>
  </table>`;
}

function Log({ log }) {
  const duration = log.call_duration === null ? '' : elapsed(log.call_duration * 1000);
  return html`<tr role="row">
    <th role="rowheader" scope="row">${dateTime(log.call_started_at ?? log.created_at)}</th>
    <td role="cell"><span class=${`outcome ${log.call_status}`}>${outcomeName(log.call_status)}</span></td>
    <td role="cell" class="elapsed">${duration}</td>
    <td role="cell" class="by-whom">${personName(log.users ?? {})}</td>
    <td role="cell">
      <span class="notes">${log.notes}</span>
      ${log.callback_requested && html`<span class="callback">Call back ${dateTime(log.callback_time) || 'requested'}</span>`}
    </td>
  </tr>`;
}
