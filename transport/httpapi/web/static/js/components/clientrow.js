// One client in the list.

import { html } from '../lib.js';
import { callerName, stateOf } from '../call.js';
import { address } from '../router.js';
import { isAdmin } from '../session.js';
import { CallButton, useLiveCall } from './callbutton.js';
import { Elapsed } from './elapsed.js';

/** Draws itself anew when its own client's call changes, and for no other's. */
export function ClientRow({ client, onEdit, onDelete }) {
  const live = useLiveCall(client.id).value;
  return html`<tr role="row" class=${`client ${stateOf(live)}`} data-testid=${`client-${client.id}`} data-state=${stateOf(live)}>
    <th scope="row" role="rowheader" class="name">
      <a href=${address(`clients/${client.id}`)}>${client.name}</a>
    </th>
    <td role="cell" class="phone">${client.phone}</td>
    <td role="cell" class="email">${client.email}</td>
    <td role="cell" class="state"><${CallState} live=${live} /></td>
    <td role="cell" class="row-actions">
      <${CallButton} client=${client} />
      <button type="button" class="quiet" aria-label=${`Edit ${client.name}`} onClick=${() => onEdit(client)}>Edit</button>
      ${isAdmin() &&
      html`<button type="button" class="quiet delete" aria-label=${`Delete ${client.name}`} onClick=${() => onDelete(client)}>Delete</button>`}
    </td>
  </tr>`;
}

/** "Being called" by whom and for how long, or that it is oneself. */
export function CallState({ live }) {
  switch (stateOf(live)) {
    case 'taken':
      return html`<span class="badge taken"><span class="dot taken" aria-hidden="true"></span>Being called</span>
        <span class="by">by ${callerName(live)} · <${Elapsed} since=${live.call.started_at} /></span>`;
    case 'mine':
      return html`<span class="badge mine"><span class="dot mine" aria-hidden="true"></span>Your call</span>
        <span class="by"><${Elapsed} since=${live.call.started_at} /></span>`;
  }
  return html`<span class="visually-hidden">Free</span>`;
}
