// The entry point: reads the enrolment token from the address bar and removes it from there.

import { refuseFiles } from './drop.ts';
import './tere.css';
import { Page } from './page.ts';

const ENROL = '#enrol=';

/**
 * The token of an enrolment link. It is removed from the address bar and the history before
 * anything else.
 */
function takeEnrolToken(): string | undefined {
  const { hash } = location;
  if (hash === '') return undefined;
  history.replaceState(null, '', location.pathname);
  return hash.startsWith(ENROL) ? hash.slice(ENROL.length) : undefined;
}

new Page(takeEnrolToken());
refuseFiles();

// A link that is opened in this tab changes only the fragment, so the page has to be reloaded.
window.addEventListener('hashchange', () => {
  if (location.hash.startsWith(ENROL)) location.reload();
});

// In some browsers, a phone's keyboard covers the page without changing its height, so the page
// follows the visible part.
const seen = window.visualViewport;
seen?.addEventListener('resize', () => {
  // A user who zooms in sees less of the page, which is no reason to make the session smaller for
  // everybody.
  if (seen.scale === 1) document.documentElement.style.setProperty('--seen', `${seen.height}px`);
});
