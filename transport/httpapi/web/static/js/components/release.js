// What administrators can do about calls that nobody ends.

import { html, useComputed, useSignal } from '../lib.js';
import { ApiError, insist, request } from '../api.js';
import { now } from '../clock.js';
import { staleCall } from '../config.js';
import { count, personName } from '../format.js';
import { refresh } from '../live.js';
import { notify } from '../notices.js';
import { callOfUser, callsByUser, isNamed } from '../store.js';
import { Field } from './clientform.js';
import { Confirm, Dialog } from './dialog.js';
import { Elapsed } from './elapsed.js';

/** Ends somebody's call, for a reason that is kept. */
export function Release({ person, onClose }) {
  const name = personName(person);
  const first = useSignal(callOfUser(person.id));
  const live = useComputed(() => callOfUser(person.id)).value;
  const released = useSignal(false); // or the event would be taken for somebody else's doing
  if (!released.value && live?.call.started_at !== first.value?.call.started_at) {
    return html`<${Dialog} title="This call is over" onClose=${onClose}>
      <p>The call of ${name} with ${first.value?.client.name} ended in the meantime. Nothing was released.</p>
      <div class="actions"><button type="button" class="primary" onClick=${onClose}>Close</button></div>
    <//>`;
  }
  const release = async (form) => {
    released.value = true;
    try {
      const body = { reason: form.get('reason'), call_id: await idOf(first.value.call) };
      await insist('DELETE', `/api/user-status/${person.id}/call`, body);
      notify('success', `The call of ${name} is released.`);
    } catch (e) {
      released.value = false;
      throw e;
    } finally {
      refresh();
    }
  };
  return html`<${Confirm} title=${`Release the call of ${name}?`} action="Release call" danger onConfirm=${release} onClose=${onClose}>
    <p>${name} has been on a call with <strong>${first.value.client.name}</strong> for <${Elapsed} since=${first.value.call.started_at} />. The client becomes free for others at once.</p>
    <${Field} label="Reason (kept on the audit trail)" name="reason" required autocomplete="off" />
  <//>`;
}

// Only the call that is shown is meant, and not one that began since. One that is
// known from a refusal alone is looked up.
async function idOf(call) {
  if (isNamed(call)) return call.id;
  const { users } = await request('GET', '/api/user-status?on_call=true');
  const user = users.find((u) => u.id === call.user_id);
  if (Date.parse(user?.call_started_at) === Date.parse(call.started_at)) return user.current_call_id;
  throw new ApiError('call_over', 'This call is over.');
}

/** Ends all calls older than two hours. */
export function CleanUp({ onClose }) {
  const old = useComputed(() => [...callsByUser().values()].filter((live) => now.value - Date.parse(live.call.started_at) >= staleCall).length);
  const cleanUp = async () => {
    const { message, cleaned_users: users } = await request('POST', '/api/user-status');
    const names = users.slice(0, 5).map(personName).join(', ');
    notify('success', users.length ? `${message} (${names}${users.length > 5 ? ' and others' : ''}.)` : 'No call is older than two hours.');
    refresh();
  };
  return html`<${Confirm} title="Clean up stale calls?" action="End stale calls" danger onConfirm=${cleanUp} onClose=${onClose}>
    <p>Ends every call that began more than two hours ago. Right now ${old.value === 1 ? 'this is' : 'these are'} <strong>${count(old.value, 'call')}</strong>.</p>
  <//>`;
}
