// The page begins: read what the address bar brought, and take it out of there.

import { refuseFiles } from './drop.ts';
import './tere.css';
import { Page } from './page.ts';

const ENROL = '#enrol=';

/** The token of an enrolment link. It leaves the address bar and the history before anything else. */
function takeEnrolToken(): string | undefined {
  const { hash } = location;
  if (hash === '') return undefined;
  history.replaceState(null, '', location.pathname);
  return hash.startsWith(ENROL) ? hash.slice(ENROL.length) : undefined;
}

new Page(takeEnrolToken());
refuseFiles();

// A link opened in this very tab changes the fragment only: begin anew with it.
window.addEventListener('hashchange', () => {
  if (location.hash.startsWith(ENROL)) location.reload();
});

// A phone's keyboard covers the page without changing its height everywhere: follow what is seen.
const seen = window.visualViewport;
seen?.addEventListener('resize', () => {
  // Somebody who looks closer sees less of the page, which is no reason to give everybody a smaller terminal.
  if (seen.scale === 1) document.documentElement.style.setProperty('--seen', `${seen.height}px`);
});
