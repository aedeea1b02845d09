// The one place that names the libraries: what the page uses of them.

import { Fragment, h, render } from '../third_party/preact.js';
import htm from '../third_party/htm.js';

export { Fragment, render };
export { batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect } from '../third_party/signals.js';
export { useEffect, useId, useLayoutEffect, useMemo, useRef } from '../third_party/preact-hooks.js';

/** Markup as a tagged template. Values are set as text and properties, never as HTML. */
export const html = htm.bind(h);
