// Dialogs: the browser's own, which keeps the focus inside and closes on Escape.

import { html, useId, useLayoutEffect, useRef, useSignal } from '../lib.js';

/** A dialog that is open as long as it is there. */
export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  const id = useId();
  useLayoutEffect(() => {
    const opener = document.activeElement;
    const dialog = element.current;
    dialog.showModal();
    return () => giveFocusBack(opener);
  }, []);
  return html`<dialog ref=${element} aria-labelledby=${id} onCancel=${cancelled(onClose)}>
    <h2 id=${id}>${title}</h2>
    ${children}
  </dialog>`;
}

// To where it came from, or to the page, if that went with what the dialog did.
// The browser does so only for a dialog that stays in the document.
function giveFocusBack(opener) {
  queueMicrotask(() => {
    const target = opener.isConnected ? opener : document.querySelector('#main h1');
    target?.focus();
  });
}

// The dialog goes when its owner takes it away, or its state would differ.
const cancelled = (onClose) => (e) => {
  e.preventDefault();
  onClose();
};

/**
 * A form in a dialog: one action, which may fail and then says why.
 * @param {() => Promise<void>} props.onConfirm closes the dialog when it succeeds
 */
export function Confirm({ title, action, danger, onConfirm, onClose, children }) {
  const busy = useSignal(false);
  const error = useSignal('');
  const submit = async (e) => {
    e.preventDefault();
    if (busy.value) return;
    busy.value = true;
    error.value = '';
    try {
      await onConfirm(new FormData(e.target));
      onClose();
    } catch (failure) {
      error.value = failure.message;
      busy.value = false;
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form onSubmit=${submit}>
      ${children}
      <${FormError} text=${error.value} />
      <div class="actions">
        <button type="button" onClick=${onClose}>Cancel</button>
        <button type="submit" class=${danger ? 'danger' : 'primary'} aria-busy=${busy}>${action}</button>
      </div>
    </form>
  <//>`;
}

/** What went wrong with a form. The region is there before its text. */
export function FormError({ text }) {
  return html`<div role="alert" class=${text ? 'form-error' : ''}>${text}</div>`;
}
