// The frame of all pages.

import { html, useEffect, useRef } from '../lib.js';
import { panel } from '../call.js';
import { unsaved } from '../drafts.js';
import { staleness } from '../live.js';
import { ClientPage } from '../pages/client.js';
import { ClientsPage } from '../pages/clients.js';
import { SignInPage } from '../pages/signin.js';
import { TeamPage } from '../pages/team.js';
import { route } from '../router.js';
import { me, unreachable } from '../session.js';
import { Banner } from './banner.js';
import { CallPanels } from './callpanel.js';
import { Header } from './header.js';
import { PhoneIcon } from './icons.js';
import { Announcer, Notices } from './notices.js';
import { Tooltip } from './tooltip.js';

export function App() {
  const user = me.value;
  return html`
    ${user === undefined ? html`<${Waiting} />` : user ? html`<${SignedIn} />` : html`<${SignInPage} />`}
    <${Notices} />
    <${Announcer} />
  `;
}

// Not known yet who is signed in. As a rule that takes a moment.
function Waiting() {
  if (!unreachable.value) return null;
  return html`<main class="sign-in">
    <div class="card" role="status">
      <p class="brand"><${PhoneIcon} /><span>dibs</span></p>
      <h1>The server does not answer</h1>
      <p class="lead">The page tries again by itself. If you are on a call, it goes on.</p>
    </div>
  </main>`;
}

function SignedIn() {
  const withCall = panel.value || unsaved.value.length > 0;
  return html`
    <a class="skip-link" href="#main" onClick=${skip}>Skip to content</a>
    <${Header} />
    <${Banner} />
    <div class=${`frame ${withCall ? 'with-call' : ''} ${staleness.value ? 'possibly-stale' : ''}`}>
      ${withCall && html`<${CallPanels} />`}
      <${Main} />
    </div>
  `;
}

// A link to #main would be taken for an address of the page.
function skip(e) {
  e.preventDefault();
  document.querySelector('#main h1')?.focus();
}

function Main() {
  const { name, id } = route.value;
  const main = useRef(null);
  const first = useRef(true);
  // Whoever goes to another page by a link begins to read at its heading.
  useEffect(() => {
    if (!first.current) main.current.querySelector('h1')?.focus();
    first.current = false;
  }, [name, id]);
  return html`<main id="main" ref=${main}>${page(name, id)}<${Tooltip} /></main>`;
}

function page(name, id) {
  switch (name) {
    case 'clients':
      return id ? html`<${ClientPage} key=${id} id=${id} />` : html`<${ClientsPage} />`;
    case 'team':
      return html`<${TeamPage} />`;
  }
  return html`<div class="page">
    <h1 tabindex="-1">There is no such page</h1>
    <p><a href="#/clients">Go to the clients</a></p>
  </div>`;
}
