// One person of the team.

import { html, useComputed } from '../lib.js';
import { now } from '../clock.js';
import { longCall } from '../config.js';
import { personName } from '../format.js';
import { address } from '../router.js';
import { isAdmin, me } from '../session.js';
import { callOfUser } from '../store.js';
import { Elapsed } from './elapsed.js';
import { WarningIcon } from './icons.js';

export function PersonRow({ person, onRelease }) {
  const live = useComputed(() => callOfUser(person.id)).value;
  const long = useComputed(() => {
    const call = callOfUser(person.id)?.call;
    return Boolean(call) && now.value - Date.parse(call.started_at) >= longCall;
  }).value;
  const name = personName(person);
  return html`<tr role="row" class=${`person ${live ? 'busy' : 'idle'} ${long ? 'long' : ''}`} data-testid=${`person-${person.id}`} data-state=${live ? 'on-call' : 'free'}>
    <th role="rowheader" scope="row" class="name">
      ${name}${person.id === me.value?.id && html` <span class="tag">You</span>`}
      <span class="email">${person.email}</span>
    </th>
    <td role="cell" class="state">
      ${live
        ? html`<span class="badge taken"><span class="dot taken" aria-hidden="true"></span>On a call</span>`
        : html`<span class="badge free"><span class="dot free" aria-hidden="true"></span>Free</span>`}
    </td>
    <td role="cell" class="client-name">${live && html`<a href=${address(`clients/${live.client.id}`)}>${live.client.name}</a>`}</td>
    <td role="cell" class="for">
      ${live && html`<${Elapsed} since=${live.call.started_at} />`}
      ${long && html` <span class="badge warning"><${WarningIcon} />Over an hour</span>`}
    </td>
    ${isAdmin() &&
    html`<td role="cell" class="row-actions">
      ${live && html`<button type="button" class="quiet" aria-label=${`Release the call of ${name}`} onClick=${() => onRelease(person)}>Release</button>`}
    </td>`}
  </tr>`;
}
