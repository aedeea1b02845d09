// The button that calls dibs on a client.

import { html, useComputed, useLayoutEffect, useRef } from '../lib.js';
import { callerName, claiming, startCall, stateOf } from '../call.js';
import { announce } from '../notices.js';
import { callOfClient } from '../store.js';
import { Elapsed, InWords } from './elapsed.js';
import { PhoneIcon } from './icons.js';
import { showCall } from './callpanel.js';
import { explained, hideTip, showTip } from './tooltip.js';

/** The live call with a client, as a signal that changes with that client's calls only. */
export const useLiveCall = (id) => useComputed(() => callOfClient(id));

export function CallButton({ client }) {
  const live = useLiveCall(client.id).value;
  const busy = useComputed(() => claiming.value === client.id).value;
  const button = useRef(null);
  const state = stateOf(live);
  const look = looks[busy ? 'busy' : state](client, live);
  useLayoutEffect(() => follow(button.current, client, state, live), [state, live]);
  useLayoutEffect(() => {
    const shown = button.current;
    return () => hideTip(shown); // a row that goes from under the pointer is never left
  }, [client.id]);
  // One element in all states: whoever has the focus on it keeps it. And not
  // "disabled": such a button takes no focus, and nobody could ask it why.
  return html`<button
      ref=${button}
      type="button"
      class=${`call ${state}`}
      aria-label=${look.label}
      aria-busy=${busy}
      aria-disabled=${state === 'taken'}
      aria-describedby=${look.why ? `why-${client.id}` : undefined}
      onClick=${look.click}
      ...${explained(look.tip)}
    >
      <${PhoneIcon} /><span>${look.text}</span>
    </button>
    ${look.why && html`<span class="visually-hidden" id=${`why-${client.id}`}>${look.why}</span>`}`;
}

const looks = {
  free: (client) => ({ text: 'Call', label: `Call ${client.name}`, click: () => startCall(client) }),
  busy: (client) => ({ text: 'Claiming…', label: `Claiming ${client.name}` }),
  mine: (client) => ({ text: 'On call', label: `On call with ${client.name}: show the call`, click: showCall }),
  taken(client, live) {
    const tip = html`Being called by ${callerName(live)} · <${Elapsed} since=${live.call.started_at} />`;
    return {
      text: 'Call',
      label: `Call ${client.name}`,
      why: html`Being called by ${callerName(live)} for <${InWords} since=${live.call.started_at} />`,
      tip,
      click: (e) => showTip(e.currentTarget, tip), // a finger does not hover
    };
  },
};

// Whoever is at the button right now has to notice that it changed.
function follow(button, client, state, live) {
  if (state !== 'taken') {
    hideTip(button);
    return;
  }
  if (button === document.activeElement) announce(`${client.name} is now being called by ${callerName(live)}.`);
  if (button.matches(':hover, :focus-visible')) showTip(button, looks.taken(client, live).tip);
}
