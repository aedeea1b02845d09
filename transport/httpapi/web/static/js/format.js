// How times and people are written.

/** "2:07", or "1:02:07" from an hour on. */
export function elapsed(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, '0');
  const hours = Math.floor(s / 3600);
  const minutes = Math.floor(s / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

/** "less than a minute", "5 minutes", "1 hour 2 minutes": for being read aloud. */
export function inWords(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return 'less than a minute';
  const hours = Math.floor(minutes / 60);
  const parts = [];
  if (hours > 0) parts.push(count(hours, 'hour'));
  if (minutes % 60 > 0) parts.push(count(minutes % 60, 'minute'));
  return parts.join(' ');
}

/** "1 call", "2 calls". */
export const count = (n, word, words = `${word}s`) => `${n.toLocaleString()} ${n === 1 ? word : words}`;

/** First and last name, or the e-mail address of somebody who has neither. */
export function personName(user) {
  return `${user.first_name ?? ''} ${user.last_name ?? ''}`.trim() || user.email || '';
}

const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const timeOnly = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

export const dateTime = (iso) => (iso ? dateAndTime.format(new Date(iso)) : '');
export const timeOfDay = (ms) => timeOnly.format(new Date(ms));

/** The outcomes of a call, in the order of the form. */
export const outcomes = [
  ['completed', 'Completed'],
  ['no_answer', 'No answer'],
  ['busy', 'Busy'],
  ['missed', 'Missed'],
  ['declined', 'Declined'],
];

export const outcomeName = (status) => outcomes.find(([value]) => value === status)?.[1] ?? status;
