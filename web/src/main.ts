// The entry point: reads from the address bar where a link leads, and removes it from there.

import { refuseFiles } from './drop.ts';
import './tere.css';
import { Page } from './page.ts';
import { placeOf } from './place.ts';

const ENROL = '#enrol=';

/** The link that tere login prints. It carries no code: see docs/design.md. */
const KEY = '#key';

/**
 * What a link says after its `#`. The token of an enrolment link must not stay in the address bar
 * and the history, so it is removed before anything else.
 */
function takeFragment(): string {
  const { hash } = location;
  if (hash !== '') history.replaceState(null, '', location.pathname);
  return hash;
}

const hash = takeFragment();
new Page(hash.startsWith(ENROL) ? hash.slice(ENROL.length) : undefined, placeOf(hash), hash === KEY);
refuseFiles();

// A link that is opened in this tab changes only the fragment, so the page has to be reloaded.
window.addEventListener('hashchange', () => {
  if (location.hash.startsWith(ENROL) || location.hash === KEY || placeOf(location.hash)) location.reload();
});

// In some browsers, a phone's keyboard covers the page without changing its height, so the page
// follows the visible part.
const seen = window.visualViewport;
seen?.addEventListener('resize', () => {
  // A user who zooms in sees less of the page, which is no reason to make the session smaller for
  // everybody.
  if (seen.scale === 1) document.documentElement.style.setProperty('--seen', `${seen.height}px`);
});
