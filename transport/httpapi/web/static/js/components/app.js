// The frame of all pages.

import { html, useEffect, useRef } from '../lib.js';
import { panel } from '../call.js';
import { ClientPage } from '../pages/client.js';
import { ClientsPage } from '../pages/clients.js';
import { SignInPage } from '../pages/signin.js';
import { TeamPage } from '../pages/team.js';
import { route } from '../router.js';
import { me } from '../session.js';
import { staleness } from '../live.js';
import { Banner } from './banner.js';
import { CallPanel } from './callpanel.js';
import { Header } from './header.js';
import { Announcer, Notices } from './notices.js';
import { Tooltip } from './tooltip.js';

export function App() {
  const user = me.value;
  return html`
    ${user === undefined ? null : user ? html`<${SignedIn} />` : html`<${SignInPage} />`}
    <${Notices} />
    <${Announcer} />
  `;
}

function SignedIn() {
  return html`
    <a class="skip-link" href="#main" onClick=${skip}>Skip to content</a>
    <${Header} />
    <${Banner} />
    <div class=${`frame ${panel.value ? 'with-call' : ''} ${staleness.value ? 'possibly-stale' : ''}`}>
      ${panel.value && html`<${CallPanel} />`}
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
