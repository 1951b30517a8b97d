// Measures how long a user waits in the browser from the click on "New shell" to the prompt. Called
// by tests/bench; asserts nothing.

import { enrolmentLink } from './host.mjs';
import { launch, newPerson, Tab } from './tab.mjs';

const SHELLS = 12;

/**
 * Clicks, and returns the milliseconds until a shell is in view with its prompt. Runs in the page.
 */
function clickToPrompt() {
  const button = [...document.querySelectorAll('button')].find((one) => one.textContent === 'New shell');
  const began = performance.now();
  button?.click();
  return new Promise((/** @type {(waited: number) => void} */ done) => {
    const look = () => {
      const live = document.querySelector('#bar[data-state=live]') !== null;
      if (live && /[$#] *$/.test(globalThis.tereScreen())) done(performance.now() - began);
      else setTimeout(look, 1);
    };
    look();
  });
}

const browser = await launch();
const tab = await Tab.open(await newPerson(browser));
await tab.enrol(await enrolmentLink('alice'));
/** @type {number[]} */
const figures = [];
while (figures.length < SHELLS) {
  await tab.run('exit');
  await tab.page.getByRole('button', { name: 'New shell' }).waitFor();
  // Users do not open shells back to back: the worker pool gets time to replace the worker that was
  // taken.
  await new Promise((done) => setTimeout(done, 800));
  figures.push(await tab.page.evaluate(clickToPrompt));
}
figures.sort((one, other) => one - other);
const [least, middle, most] = [0, SHELLS / 2, SHELLS - 1].map((at) => Math.round(figures[at] ?? Number.NaN));
console.log(`click to prompt: ${middle} ms (${least} to ${most}, ${SHELLS} shells)`);
await browser.close();
