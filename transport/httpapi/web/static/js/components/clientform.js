// Dialogs that add, change and delete clients.

import { html } from '../lib.js';
import { request } from '../api.js';
import { notify } from '../notices.js';
import { Confirm } from './dialog.js';

/** Adds a client, or changes the one that is given; onDone is told the result. */
export function ClientForm({ client, onDone, onClose }) {
  const save = async (form) => {
    const body = changed(client, form);
    const [method, path] = client ? ['PUT', `/api/clients/${client.id}`] : ['POST', '/api/clients'];
    const saved = (await request(method, path, { body })).client;
    notify('success', client ? `${saved.name} is changed.` : `${saved.name} is added.`);
    onDone(saved);
  };
  const title = client ? `Edit ${client.name}` : 'Add a client';
  return html`<${Confirm} title=${title} action=${client ? 'Save' : 'Add client'} onConfirm=${save} onClose=${onClose}>
    <${Field} label="Name" name="name" value=${client?.name} required autocomplete="off" />
    <${Field} label="Phone" name="phone" type="tel" value=${client?.phone} autocomplete="off" />
    <${Field} label="E-mail" name="email" type="email" value=${client?.email} autocomplete="off" />
    <label class="field">
      <span>Notes</span>
      <textarea name="notes" rows="4">${client?.notes ?? ''}</textarea>
    </label>
  <//>`;
}

// What was left as it is may have been changed by somebody else meanwhile. A
// field for several lines has its own idea of how a line ends.
function changed(client, form) {
  const linesOf = (text) => text.replace(/\r\n?/g, '\n');
  const fields = ['name', 'phone', 'email', 'notes'].map((name) => [name, form.get(name)]);
  return Object.fromEntries(fields.filter(([name, value]) => !client || linesOf(value) !== linesOf(client[name] ?? '')));
}

export function Field({ label, ...input }) {
  return html`<label class="field">
    <span>${label}</span>
    <input ...${input} />
  </label>`;
}

/** Asks once more, and deletes. */
export function DeleteClient({ client, onDone, onClose }) {
  const remove = async () => {
    await request('DELETE', `/api/clients/${client.id}`);
    notify('success', `${client.name} is deleted.`);
    onDone();
  };
  return html`<${Confirm} title=${`Delete ${client.name}?`} action="Delete client" danger onConfirm=${remove} onClose=${onClose}>
    <p>The client is removed for everybody. This cannot be undone.</p>
  <//>`;
}
