import { html, useEffect, useRef, useSignal } from '../lib.js';
import { FormError } from '../components/dialog.js';
import { Field } from '../components/clientform.js';
import { PhoneIcon } from '../components/icons.js';
import { signIn, signInReason } from '../session.js';

export function SignInPage() {
  const busy = useSignal(false);
  const error = useSignal('');
  const form = useRef(null);
  useEffect(() => {
    document.title = 'Sign in · dibs';
    form.current.elements.email.focus();
  }, []);
  const submit = async (e) => {
    e.preventDefault();
    if (busy.value) return;
    busy.value = true;
    error.value = '';
    const { email, password } = e.target.elements;
    try {
      await signIn(email.value.trim(), password.value);
    } catch (failure) {
      error.value = failure.message;
      busy.value = false;
      password.focus();
      password.select();
    }
  };
  return html`<main class="sign-in">
    <div class="card">
      <p class="brand"><${PhoneIcon} /><span>dibs</span></p>
      <h1>Sign in</h1>
      <p class="lead">One client is called by one person at a time.</p>
      ${signInReason.value && html`<p class="reason">${signInReason}</p>`}
      <form ref=${form} onSubmit=${submit}>
        <${Field} label="E-mail" name="email" type="email" required autocomplete="username" />
        <${Field} label="Password" name="password" type="password" required autocomplete="current-password" />
        <${FormError} text=${error.value} />
        <button type="submit" class="primary wide" aria-busy=${busy}>${busy.value ? 'Signing in…' : 'Sign in'}</button>
      </form>
    </div>
  </main>`;
}
