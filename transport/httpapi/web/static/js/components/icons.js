// Pictures beside words. They say nothing by themselves and are not read aloud.

import { html } from '../lib.js';

const icon = (path) => () =>
  html`<svg class="icon" viewBox="0 0 20 20" width="16" height="16" aria-hidden="true" focusable="false">
    <path d=${path} fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" />
  </svg>`;

export const PhoneIcon = icon(
  'M6.6 3.2 4.5 3.700a1.500 1.500 0 0 0-1.200 1.600c.500 6.100 5.300 10.900 11.400 11.400a1.500 1.500 0 0 0 1.600-1.200l.500-2.100a1.200 1.200 0 0 0-.700-1.400l-2.500-1.100a1.200 1.200 0 0 0-1.400.350l-.9 1.100a9 9 0 0 1-3.650-3.650l1.100-.9a1.200 1.200 0 0 0 .350-1.400L8 3.900a1.200 1.200 0 0 0-1.400-.700z',
);
export const WarningIcon = icon('M10 3.500 2.800 16h14.400L10 3.500zM10 8.500v3.500M10 14.200v.100');
export const CloseIcon = icon('M5 5l10 10M15 5L5 15');
export const SearchIcon = icon('M9 15a6 6 0 1 0 0-12 6 6 0 0 0 0 12zM13.500 13.500 17 17');
export const PlusIcon = icon('M10 4v12M4 10h12');
export const BackIcon = icon('M12 4.500 6.500 10l5.500 5.500');
