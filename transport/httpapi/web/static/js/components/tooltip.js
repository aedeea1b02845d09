// The one tooltip of the page. It explains what cannot be used right now, to
// the mouse and to the keyboard alike; Escape closes it, and the pointer may
// rest on it. It lies above everything, so that no row cuts it off.

import { html, signal, useLayoutEffect, useRef } from '../lib.js';

/** {anchor: Element, content: vnode} */
const shown = signal(null);

let closing = 0;

export function showTip(anchor, content) {
  clearTimeout(closing);
  shown.value = { anchor, content };
}

/** Closes the tooltip of an element, if it is shown. */
export function hideTip(anchor) {
  if (shown.peek()?.anchor === anchor) shown.value = null;
}

function hideSoon() {
  clearTimeout(closing);
  closing = setTimeout(() => {
    shown.value = null;
  }, 120);
}

/** The handlers of an element that a tooltip explains; none without content. */
export function explained(content) {
  const show = content && ((e) => showTip(e.currentTarget, content));
  const hide = content && hideSoon;
  return { onMouseEnter: show, onMouseLeave: hide, onFocus: show, onBlur: hide };
}

addEventListener('keydown', (e) => {
  if (e.key === 'Escape') shown.value = null;
});

export function Tooltip() {
  const element = useRef(null);
  const { anchor, content } = shown.value ?? {};
  useLayoutEffect(() => {
    const tip = element.current;
    if (!anchor?.isConnected) {
      if (tip.matches(':popover-open')) tip.hidePopover();
      return;
    }
    if (!tip.matches(':popover-open')) tip.showPopover();
    const follow = () => place(tip, anchor.getBoundingClientRect());
    follow();
    addEventListener('scroll', follow, { capture: true, passive: true });
    addEventListener('resize', follow);
    return () => {
      removeEventListener('scroll', follow, { capture: true });
      removeEventListener('resize', follow);
    };
  }, [anchor, content]);
  return html`<div
    ref=${element}
    class="tooltip"
    role="tooltip"
    popover="manual"
    onMouseEnter=${() => clearTimeout(closing)}
    onMouseLeave=${hideSoon}
  >
    ${content}
  </div>`;
}

function place(tip, at) {
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = Math.min(Math.max(8, at.left + at.width / 2 - width / 2), innerWidth - width - 8);
  const above = at.top - height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above >= 8 ? above : at.bottom + 8}px`;
}
