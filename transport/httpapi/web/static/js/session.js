// Who is signed in. The tabs of a browser share one cookie, so they are signed
// in together: when another tab signs in or out, this one starts anew.

import { effect, signal } from './lib.js';
import { onSignedOut, request } from './api.js';
import { resumeAgain } from './config.js';
import { forget, onOtherTab, recall, remember } from './storage.js';

/** undefined: not known yet; null: nobody. */
export const me = signal(undefined);

/** Why somebody has to sign in, if there is something to say. */
export const signInReason = signal('');

/** Whether the server could not say who is signed in, and is asked again. */
export const unreachable = signal(false);

// What the browser keeps of somebody's work. It outlives the session, for who
// was thrown out, and is nobody else's business.
const belongings = ['call', 'drafts', 'unsaved'];

export const isAdmin = () => me.value?.role === 'admin';

/**
 * Finds out who is signed in. Without a trace of anybody the server is not even
 * asked: its refusal would stand as an error in the browser's console.
 */
export async function resume() {
  if (!recall('user')) {
    me.value = null;
    return;
  }
  try {
    enter((await request('GET', '/api/auth/verify')).user);
  } catch (e) {
    if (me.value !== undefined) return;
    if (e.code === 'unauthenticated') {
      me.value = null;
      return;
    }
    // The server cannot say. The session may well be good, and a call going on:
    // nobody is asked to sign in to a server that is away.
    unreachable.value = true;
    setTimeout(resume, resumeAgain);
  }
}

/** @throws {ApiError} */
export async function signIn(email, password) {
  enter((await request('POST', '/api/auth/login', { body: { email, password } })).user);
}

export async function signOut() {
  await request('POST', '/api/auth/logout');
  leave('');
}

function enter(user) {
  if (recall('owner') !== user.id) forget(...belongings); // somebody else's
  remember('owner', user.id);
  remember('user', { id: user.id });
  signInReason.value = '';
  unreachable.value = false;
  me.value = user;
}

function leave(reason) {
  forget('user', 'owner', ...belongings);
  signInReason.value = reason;
  me.value = null;
}

// The own call and what is written stay: whoever was thrown out comes back to them.
onSignedOut(() => {
  forget('user');
  signInReason.value = me.value ? 'Your session has ended. Please sign in again.' : '';
  me.value = null;
});

onOtherTab('user', () => {
  const now = recall('user')?.id ?? null;
  if (me.value !== undefined && now !== (me.value?.id ?? null)) location.reload();
});

/** Calls f with the user at each signing in, and what it returned at signing out. */
export function whileSignedIn(f) {
  let stop = null;
  effect(() => {
    const user = me.value;
    stop?.();
    stop = user ? f(user) : null;
  });
}
