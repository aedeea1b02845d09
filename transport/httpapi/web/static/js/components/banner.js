// Says when what is shown may not be what is.

import { html } from '../lib.js';
import { timeOfDay } from '../format.js';
import { connection, staleness, wake } from '../live.js';
import { heardAt } from '../store.js';
import { WarningIcon } from './icons.js';

export function Banner() {
  return html`<div role="status" data-testid="connection" data-connection=${connection} data-stale=${staleness}>${content()}</div>`;
}

function content() {
  if (staleness.value === 'lost') {
    const since = heardAt.value ? ` What you see is from ${timeOfDay(heardAt.value)} and possibly stale.` : '';
    return html`<div class="banner warning">
      <${WarningIcon} />
      <p><strong>The server does not answer.</strong>${since} The page tries again by itself.</p>
      <button type="button" onClick=${wake}>Try now</button>
    </div>`;
  }
  if (staleness.value === 'catching-up') {
    return html`<div class="banner warning">
      <${WarningIcon} />
      <p><strong>Catching up.</strong> What you see is from ${timeOfDay(heardAt.value)} and possibly stale.</p>
    </div>`;
  }
  if (staleness.value === 'server') {
    return html`<div class="banner warning">
      <${WarningIcon} />
      <p><strong>Possibly stale.</strong> The server cannot hear of all calls right now. Starting and ending calls works and is safe.</p>
    </div>`;
  }
  if (connection.value === 'polling') {
    return html`<div class="banner">
      <p>There are no live updates right now. Who is on a call is looked up every 30 seconds.</p>
      <button type="button" onClick=${wake}>Try now</button>
    </div>`;
  }
  return null;
}
