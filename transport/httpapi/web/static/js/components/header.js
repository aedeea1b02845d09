// The top of all pages: where one is, who one is, and the own call at a glance.

import { html, useSignal } from '../lib.js';
import { endCall, panel } from '../call.js';
import { isWritten, unsaved } from '../drafts.js';
import { personName } from '../format.js';
import { notify } from '../notices.js';
import { address, route } from '../router.js';
import { me, signOut } from '../session.js';
import { showCall } from './callpanel.js';
import { Confirm } from './dialog.js';
import { Elapsed } from './elapsed.js';
import { PhoneIcon } from './icons.js';

export function Header() {
  const asking = useSignal(false);
  const user = me.value;
  const onCall = panel.value && !panel.value.ended;
  const written = withNotes();
  const leave = async () => {
    if (panel.value && !panel.value.ended) await endCall('');
    await signOut();
  };
  const out = () => {
    if (onCall || written.length > 0) asking.value = true;
    else leave().catch((e) => notify('error', e.message));
  };
  return html`
    <header class="top">
      <a class="brand" href=${address('clients')}><${PhoneIcon} /><span>dibs</span></a>
      <nav aria-label="Main">
        <${NavLink} name="clients">Clients<//>
        <${NavLink} name="team">Team<//>
      </nav>
      <${OwnCall} />
      <div class="who">
        <span class="who-name">${personName(user)}${user.role === 'admin' ? html` <span class="tag">Admin</span>` : null}</span>
        <button type="button" class="quiet" onClick=${out}>Sign out</button>
      </div>
    </header>
    ${asking.value &&
    html`<${Confirm}
      title=${onCall ? 'End the call and sign out?' : 'Sign out without saving?'}
      action=${onCall ? 'End call and sign out' : 'Throw away and sign out'}
      danger=${written.length > 0}
      onConfirm=${leave}
      onClose=${() => (asking.value = false)}
    >
      ${onCall && html`<p>You are on a call with ${panel.value.client.name}. Signing out ends it without a log.</p>`}
      ${written.length > 0 && html`<p>What you wrote about ${written.join(', ')} is not saved, and would be lost.</p>`}
    <//>`}
  `;
}

// The clients about whose calls something is written that is not saved.
function withNotes() {
  const held = panel.value && isWritten(panel.value.call) ? [panel.value] : [];
  return [...held, ...unsaved.value].map(({ client }) => client.name);
}

function NavLink({ name, children }) {
  const here = route.value.name === name;
  return html`<a href=${address(name)} aria-current=${here ? 'page' : undefined}>${children}</a>`;
}

function OwnCall() {
  const held = panel.value;
  if (!held || held.ended) return null;
  return html`<button type="button" class="own-call" onClick=${showCall}>
    <span class="dot mine" aria-hidden="true"></span>
    <span class="visually-hidden">Show your call with</span>
    <span class="own-call-name">${held.client.name}</span>
    <${Elapsed} since=${held.call.started_at} />
  </button>`;
}
