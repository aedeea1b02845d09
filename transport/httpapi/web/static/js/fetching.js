// Lists and records that a page shows and fetches anew when it is told to.

import { useEffect, useMemo, signal } from './lib.js';
import { request } from './api.js';

/**
 * Fetches a path, and again whenever the path changes. What was there before
 * stays until the new comes; of two answers only that of the later request counts.
 * @returns {{data: Signal, error: Signal, loading: Signal, reload: () => void}}
 */
export function useFetched(path) {
  const state = useMemo(newFetched, []);
  useEffect(() => {
    state.path = path;
    state.reload();
    return () => state.abort?.abort();
  }, [path]);
  return state;
}

function newFetched() {
  const state = { path: '', abort: null, data: signal(null), error: signal(''), loading: signal(true) };
  state.reload = async () => {
    state.abort?.abort();
    const abort = new AbortController();
    state.abort = abort;
    state.loading.value = true;
    try {
      state.data.value = await request('GET', state.path, { signal: abort.signal });
      state.error.value = '';
    } catch (e) {
      if (abort.signal.aborted) return;
      state.error.value = e.message;
    }
    if (!abort.signal.aborted) state.loading.value = false;
  };
  return state;
}
