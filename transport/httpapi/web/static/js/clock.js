// The server's clock, as far as it can be known from here.
//
// Calls are timed by the server, and the clock of somebody's laptop may be
// wrong by minutes. Every answer narrows an interval in which the difference of
// the two clocks must lie: the Date of an answer (whole seconds) was true at
// some moment between request and answer, and an event never comes before it
// happened. When a sample contradicts the interval, a clock was set: start anew.

import { signal } from './lib.js';

let lowest = -Infinity;
let highest = Infinity;

function narrow(low, high) {
  if (low > highest || high < lowest) {
    lowest = low;
    highest = high;
    return;
  }
  lowest = Math.max(lowest, low);
  highest = Math.min(highest, high);
}

function difference() {
  if (lowest === -Infinity) return 0; // nothing was answered yet
  if (highest === Infinity) return Math.max(lowest, 0);
  return (lowest + highest) / 2;
}

/** Learns from an answer's Date, asked for and received at these local times. */
export function sampleDate(date, asked, received) {
  const server = Date.parse(date);
  if (!Number.isNaN(server)) narrow(server - received, server + 1000 - asked);
}

/** Learns from an event that happened at a time of the server. */
export function sampleEvent(at) {
  const server = Date.parse(at);
  if (!Number.isNaN(server)) narrow(server - Date.now(), Infinity);
}

/** Now, by the server's clock, in milliseconds since 1970. */
export const serverNow = () => Date.now() + difference();

/** The server's time once a second: what runs on the page runs by this. */
export const now = signal(serverNow());

setInterval(() => {
  now.value = serverNow();
}, 1000);
