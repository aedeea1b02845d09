// What a browser keeps, and its tabs share: who is signed in (not the session,
// which no script can read), the own call, and a log that is being written.
// Keeping it can fail (private windows, full disks); then it lasts as long as the
// page.

const prefix = 'dibs.';
const inMemory = new Map();

export function recall(name) {
  if (inMemory.has(name)) return inMemory.get(name);
  try {
    return JSON.parse(localStorage.getItem(prefix + name));
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(prefix + name, JSON.stringify(value));
    inMemory.delete(name);
  } catch {
    inMemory.set(name, value);
  }
}

export function forget(...names) {
  for (const name of names) {
    inMemory.delete(name);
    try {
      localStorage.removeItem(prefix + name);
    } catch {
      // There was nothing to forget.
    }
  }
}

/** Calls f when another tab changed the value of this name. */
export function onOtherTab(name, f) {
  addEventListener('storage', (e) => {
    if (e.key === prefix + name || e.key === null) f();
  });
}
