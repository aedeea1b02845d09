// What one writes down about a call.

import { html, useSignal } from '../lib.js';
import { endCall, saveLog } from '../call.js';
import { serverNow } from '../clock.js';
import { draftOf, keepDraft } from '../drafts.js';
import { ending } from '../ending.js';
import { outcomes } from '../format.js';
import { notify } from '../notices.js';
import { FormError } from './dialog.js';

export function LogForm({ call, client, ended, onDismiss }) {
  const draft = draftOf(call);
  const error = useSignal('');
  const change = (values) => keepDraft(call, values);
  const attempt = async (action, done) => {
    if (ending.value) return;
    error.value = '';
    try {
      await action();
      notify('success', done);
    } catch (failure) {
      error.value = failure.message;
    }
  };
  const save = (e) => {
    e.preventDefault();
    attempt(() => saveLog(call, logOf(draftOf(call), call, ended)), `The log of the call with ${client.name} is saved.`);
  };
  const end = () => attempt(() => endCall(draftOf(call).notes), `The call with ${client.name} has ended.`);
  return html`<form class="log-form" onSubmit=${save} aria-label=${`Log of the call with ${client.name}`}>
    <${Fields} draft=${draft} change=${change} />
    <${FormError} text=${error.value} />
    <div class="actions apart">
      ${ended
        ? html`<button type="button" onClick=${onDismiss}>Close without log</button>`
        : html`<button type="button" onClick=${end} aria-busy=${ending}>End call</button>`}
      <button type="submit" class="primary" aria-busy=${ending}>${ended ? 'Save log' : 'Save log and end call'}</button>
    </div>
  </form>`;
}

function Fields({ draft, change }) {
  return html`<fieldset class="outcomes">
      <legend>Outcome</legend>
      ${outcomes.map(
        ([value, name]) => html`<label key=${value} class="choice">
          <input
            type="radio"
            name="outcome"
            required
            value=${value}
            checked=${draft.status === value}
            onChange=${() => change({ status: value })}
          />
          <span>${name}</span>
        </label>`,
      )}
    </fieldset>
    <label class="field">
      <span>Notes</span>
      <textarea rows="4" value=${draft.notes} onInput=${(e) => change({ notes: e.target.value })}></textarea>
    </label>
    <label class="check">
      <input type="checkbox" checked=${draft.callback} onChange=${(e) => change({ callback: e.target.checked })} />
      <span>Callback requested</span>
    </label>
    ${draft.callback &&
    html`<label class="field">
      <span>Call back at</span>
      <input
        type="datetime-local"
        required
        value=${draft.callbackTime}
        onInput=${(e) => change({ callbackTime: e.target.value })}
      />
    </label>`}`;
}

// A call that was ended otherwise is over since a moment that is not known
// here, so its log names none.
function logOf(draft, call, ended) {
  const log = {
    client_id: call.client_id,
    call_type: 'outbound',
    call_status: draft.status,
    notes: draft.notes,
    callback_requested: draft.callback,
    call_started_at: call.started_at,
  };
  if (draft.callback) log.callback_time = new Date(draft.callbackTime).toISOString();
  if (ended) return log;
  const now = serverNow();
  log.call_ended_at = new Date(now).toISOString();
  log.call_duration = Math.max(0, Math.round((now - Date.parse(call.started_at)) / 1000));
  return log;
}
