// Live events: keeps what the page knows in step with the server.
//
// While the stream flows, nothing is polled. When it breaks, the page asks for
// the status at once, which tells a broken stream from a server that is away;
// when the stream keeps failing, it asks every half minute. The stream is tried
// all the while, and its snapshot puts everything right.

import { computed, signal } from './lib.js';
import { request } from './api.js';
import { sampleEvent } from './clock.js';
import * as config from './config.js';
import { applyEnded, applySnapshot, applyStarted, applyStatuses, changes, heardAt } from './store.js';

/**
 * "starting", "live", "polling" (no stream, but answers), "lost" (no answers) or
 * "catching-up" (what is shown is old, and the server has only just been asked).
 */
export const connection = signal('starting');

/** The server says that it may have missed what happened elsewhere. */
const serverStale = signal(false);

/** Whether what is shown may be out of date, and why: "", "lost", "catching-up" or "server". */
export const staleness = computed(() => {
  if (connection.value === 'lost' || connection.value === 'catching-up') return connection.value;
  return serverStale.value ? 'server' : '';
});

let running = false;
let asleep = false; // hidden for long, or from the beginning: no stream
let stream = null;
let attempts = 0; // since the stream last flowed
let refusals = 0; // of these, while the server answered other requests
let polling = null; // the poll under way

// Timers. Clearing one that is not set does nothing.
let watchdog = 0;
let retry = 0;
let poller = 0;
let sleeper = 0;
let ageing = 0;

const listeners = [
  [window, 'online', wake],
  [window, 'offline', broken],
  [window, 'pagehide', close],
  [window, 'pageshow', (e) => e.persisted && reopen()],
  [document, 'visibilitychange', visibilityChanged],
];

/** Starts listening, for somebody who is signed in; returns how to stop. */
export function start() {
  running = true;
  for (const [target, name, f] of listeners) target.addEventListener(name, f);
  ageing = setInterval(checkAge, 1000);
  if (document.hidden) beginAsleep();
  else reopen();
  return stop;
}

function stop() {
  running = false;
  close();
  stopPolling();
  clearTimeout(sleeper);
  clearInterval(ageing);
  for (const [target, name, f] of listeners) target.removeEventListener(name, f);
}

/** Tries now what would be tried later. */
export function wake() {
  if (!running || connection.value === 'live') return;
  attempts = 0;
  open();
  poll();
}

/** Asks for the status at once, unless the stream tells it anyway. */
export function refresh() {
  if (connection.value !== 'live') poll();
}

// Whoever opens ten tabs in the background would have the first six take all
// connections. One answer is enough to find the own call, and keep it.
function beginAsleep() {
  asleep = true;
  uncertain();
  poll();
}

// After a sleep what is shown may be hours old, and is not said to be live.
function reopen() {
  asleep = false;
  attempts = 0;
  refusals = 0;
  uncertain();
  open();
  if (isOld(config.silence)) poll();
}

// What is shown is not known to be true any more; if it is old, that is said. Why
// it is old is not known before the server was asked: the machine may have slept.
function uncertain() {
  connection.value = isOld(config.silence) ? 'catching-up' : 'starting';
}

function isOld(limit) {
  const heard = heardAt.peek(); // this may run inside an effect, which must not follow it
  return heard > 0 && Date.now() - heard > limit;
}

// Goes by the clock on the wall. When a machine sleeps, timers stand still on
// some systems, and the watchdog would wait on after hours.
function checkAge() {
  if (asleep) return;
  if (connection.value === 'live' && isOld(config.silence)) broken();
  if (connection.value === 'polling' && isOld(config.pollEvery + config.requestTimeout)) {
    uncertain();
    wake();
  }
}

function open() {
  close();
  if (asleep) return;
  stream = new EventSource('/api/events');
  stream.onopen = watch; // what flows is what arrives: a snapshot, or a ping where it was resumed
  stream.onerror = failed;
  on('snapshot', (snapshot) => {
    serverStale.value = Boolean(snapshot.stale);
    applySnapshot(snapshot.calls);
  });
  on('call.started', (event) => {
    sampleEvent(event.at);
    applyStarted(event);
  });
  on('call.ended', (event) => {
    sampleEvent(event.at);
    applyEnded(event);
  });
  on('call.changed', applyStarted); // somebody is called otherwise
  on('stale', (data) => {
    serverStale.value = Boolean(data.stale);
  });
  on('ping', () => {});
  watch();
}

function on(name, f) {
  stream.addEventListener(name, (e) => {
    f(e.data ? JSON.parse(e.data) : null);
    flows();
  });
}

function flows() {
  attempts = 0;
  refusals = 0;
  heardAt.value = Date.now();
  connection.value = 'live';
  stopPolling();
  watch();
}

function close() {
  clearTimeout(watchdog);
  clearTimeout(retry);
  stream?.close();
  stream = null;
}

function watch() {
  clearTimeout(watchdog);
  watchdog = setTimeout(broken, config.silence);
}

// The browser opens a broken stream again by itself, with the id of the last
// event, except where it was refused.
function failed() {
  if (stream?.readyState !== EventSource.CONNECTING) {
    broken();
    return;
  }
  doubt();
}

// The stream is of no use any more: open a new one, after a while.
function broken() {
  if (!running) return;
  close();
  const wait = Math.min(config.reconnectFirst * 2 ** attempts++, config.reconnectMost);
  retry = setTimeout(open, wait * (0.5 + Math.random() / 2)); // not all pages at once
  doubt();
}

// Ask, to find out whether the server is there at all.
function doubt() {
  if (connection.value === 'live') uncertain();
  if (connection.value !== 'polling') poll();
}

/** Asks who is on a call; one request at a time. */
function poll() {
  polling ??= pollOnce().finally(() => {
    polling = null;
  });
}

async function pollOnce() {
  try {
    // An answer that was overtaken by something newer is asked for again, but
    // not for ever: where much happens, each one is.
    for (let tries = 1; ; tries++) {
      const asked = changes();
      const { users, stale } = await request('GET', '/api/user-status');
      if (!running || connection.value === 'live') return;
      if (asked !== changes() && tries < config.pollTries) continue;
      serverStale.value = Boolean(stale);
      applyStatuses(users, asked);
      answered();
      return;
    }
  } catch (e) {
    // A server that refuses to say leaves the page as much in the dark as none.
    if (running && connection.value !== 'live' && e.code !== 'unauthenticated') {
      refusals = 0;
      connection.value = 'lost';
    }
  }
}

// The server answers and the stream does not come: after a few tries the page
// settles for the spec's half minute.
function answered() {
  if (connection.value === 'lost') {
    connection.value = 'starting';
    wake();
  }
  if (connection.value === 'catching-up') connection.value = 'starting';
  if (connection.value === 'polling' || ++refusals < config.failuresBeforePolling) return;
  connection.value = 'polling';
  poller ||= setInterval(poll, config.pollEvery);
}

function stopPolling() {
  clearInterval(poller);
  poller = 0;
}

function visibilityChanged() {
  clearTimeout(sleeper);
  if (document.hidden) {
    sleeper = setTimeout(() => {
      asleep = true;
      close();
    }, config.hiddenKeeps);
  } else if (asleep) {
    reopen();
  }
}
