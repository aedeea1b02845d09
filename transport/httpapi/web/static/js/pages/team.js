// Everybody, and whom they call.

import { computed, html, useComputed, useEffect, useMemo, useSignal } from '../lib.js';
import { CleanUp, Release } from '../components/release.js';
import { SearchIcon } from '../components/icons.js';
import { Loading } from '../components/loading.js';
import { PersonRow } from '../components/personrow.js';
import { now } from '../clock.js';
import { longCall } from '../config.js';
import { useFetched } from '../fetching.js';
import { personName } from '../format.js';
import { connection } from '../live.js';
import { go, route } from '../router.js';
import { isAdmin } from '../session.js';
import { applyPeople, callsByUser, everybody } from '../store.js';

const filters = [
  ['all', 'All'],
  ['on_call', 'On a call'],
  ['free', 'Free'],
  ['long', 'Over an hour'],
];

const step = 200;

export function TeamPage() {
  const list = useFetched('/api/user-status');
  const dialog = useSignal(null);
  const shown = useSignal(step);
  const close = () => (dialog.value = null);
  useEffect(() => {
    document.title = 'Team · dibs';
  }, []);
  useEffect(() => {
    if (list.data.value) applyPeople(list.data.value.users);
  }, [list.data.value]);
  // Who came to the team while the page was cut off?
  useEffect(() => {
    if (connection.value === 'live' && list.data.value) list.reload();
  }, [connection.value]);
  const { shows = 'all', search = '' } = route.value.parameters;
  const groups = useComputed(grouped).value;
  const people = useMemo(() => matching(groups[shows] ?? groups.all, search), [groups, shows, search]);
  return html`<div class="page">
    <div class="page-head">
      <h1 tabindex="-1">Team</h1>
      ${isAdmin() && html`<button type="button" onClick=${() => (dialog.value = 'clean up')}>Clean up stale calls</button>`}
    </div>
    <div class="toolbar">
      <${Filters} groups=${groups} shows=${shows} search=${search} />
      <label class="search person-search">
        <span class="visually-hidden">Search the team</span>
        <${SearchIcon} />
        <input
          type="search"
          placeholder="Name or e-mail"
          value=${search}
          onInput=${(e) => go('team', { shows, search: e.target.value }, true)}
        />
      </label>
    </div>
    ${list.error.value && html`<div role="alert" class="form-error">${list.error} <button type="button" onClick=${list.reload}>Try again</button></div>`}
    ${groups.all.length > 0 ? html`<${Table} people=${people} shown=${shown} dialog=${dialog} />` : list.loading.value && html`<${Loading} />`}
    ${dialog.value === 'clean up' && html`<${CleanUp} onClose=${close} />`}
    ${dialog.value?.release && html`<${Release} person=${dialog.value.release} onClose=${close} />`}
  </div>`;
}

// A step of ten seconds is fine enough for what is over an hour, and keeps the
// list from being made anew each second.
const roughly = computed(() => Math.floor(now.value / 10_000) * 10_000);

function grouped() {
  const calls = callsByUser();
  const since = (user) => Date.parse(calls.get(user.id).call.started_at);
  const all = withStrangers(everybody(), calls);
  const onCall = all.filter((user) => calls.has(user.id)).sort((a, b) => since(a) - since(b));
  return {
    all,
    on_call: onCall,
    free: all.filter((user) => !calls.has(user.id)),
    long: onCall.filter((user) => roughly.value - since(user) >= longCall),
  };
}

// Somebody may be on a call who joined after the list was fetched.
function withStrangers(people, calls) {
  const there = new Set(people.map((user) => user.id));
  const strangers = [...calls.values()].map((live) => live.user).filter((user) => !there.has(user.id));
  return strangers.length && people.length ? [...people, ...strangers] : people;
}

function matching(people, search) {
  const wanted = search.trim().toLowerCase();
  if (!wanted) return people;
  return people.filter((user) => `${personName(user)} ${user.email}`.toLowerCase().includes(wanted));
}

function Filters({ groups, shows, search }) {
  return html`<fieldset class="segments">
    <legend class="visually-hidden">Show</legend>
    ${filters.map(
      ([value, name]) => html`<label key=${value} class="choice">
        <input
          type="radio"
          name="shows"
          value=${value}
          checked=${shows === value}
          onChange=${() => go('team', { shows: value, search }, true)}
        />
        <span>${name} <span class="number">${groups[value].length.toLocaleString()}</span></span>
      </label>`,
    )}
  </fieldset>`;
}

function Table({ people, shown, dialog }) {
  const onRelease = useMemo(() => (person) => (dialog.value = { release: person }), []);
  if (people.length === 0) return html`<p class="empty">Nobody to show.</p>`;
  const more = people.length - shown.value;
  return html`<table role="table" class=${`team ${isAdmin() ? 'can-release' : ''} ${people.length > 100 ? 'long-list' : ''}`}>
      <caption class="visually-hidden">Team</caption>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">Name</th>
          <th role="columnheader" scope="col">State</th>
          <th role="columnheader" scope="col">Client</th>
          <th role="columnheader" scope="col">For</th>
          ${isAdmin() && html`<th role="columnheader" scope="col"><span class="visually-hidden">Actions</span></th>`}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${people.slice(0, shown.value).map((person) => html`<${PersonRow} key=${person.id} person=${person} onRelease=${onRelease} />`)}
      </tbody>
    </table>
    ${more > 0 &&
    html`<p class="more"><button type="button" onClick=${() => (shown.value += step * 5)}>Show more (${more.toLocaleString()})</button></p>`}`;
}
