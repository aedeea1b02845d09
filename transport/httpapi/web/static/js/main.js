// Where the page begins.

import { html, render } from './lib.js';
import { keepRenewing } from './call.js';
import { App } from './components/app.js';
import * as live from './live.js';
import { resume, whileSignedIn } from './session.js';
import { clear } from './store.js';

whileSignedIn(() => {
  const stopListening = live.start();
  const stopRenewing = keepRenewing();
  return () => {
    stopListening();
    stopRenewing();
    clear();
  };
});

render(html`<${App} />`, document.getElementById('app'));
resume();
