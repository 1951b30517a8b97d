// What users do with tere in a browser, on a booted host. The tests run in order, one after
// another: some of them stop parts of the host.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { endSessions, enrolmentLink, inHost, machine, origin, sessionsAre, user } from './host.mjs';
import { launch, newPerson, Tab } from './tab.mjs';

/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser.close();
});

afterEach(async () => {
  for (const person of browser.contexts()) await person.close();
  await endSessions();
});

const minute = { timeout: 60_000 };

/**
 * A new person with a passkey, in a shell.
 * @param {string} account
 * @param {{ stay?: boolean }} [choice] whether the browser may come back without a touch
 */
async function enrolled(account, { stay = true } = {}) {
  const person = await newPerson(browser);
  const tab = await Tab.open(person);
  await tab.page.goto(await enrolmentLink(account));
  await tab.page.getByLabel('Stay signed in on this device').setChecked(stay);
  await tab.pressSignIn();
  await tab.shell();
  return tab;
}

/** Asserts that the tab signed in without a touch of the passkey. @param {Tab} tab */
function assertCameBack(tab) {
  const asked = tab.sent.map((message) => message.type).filter((type) => ['sign-in', 'enrol', 'resume'].includes(type));
  assert.equal(asked.at(-1), 'resume');
}

test('an enrolment link leads to a shell', minute, async () => {
  const person = await newPerson(browser);
  const tab = await Tab.open(person);
  await tab.page.goto(await enrolmentLink('alice'));
  assert.equal(tab.page.url(), `${origin}/`, 'the token is out of the address bar');
  await tab.page.getByRole('button', { name: 'Register a passkey' }).waitFor();
  await tab.screenshot('1-enrol');
  await tab.pressSignIn();
  await tab.shell();
  assert.equal(await tab.page.locator('#bar-where').textContent(), `${user}@${machine}`);

  await tab.run(String.raw`id; tput cols; printf '\u4f60\u597d\n'`);
  await tab.sees(new RegExp(`^uid=\\d+\\(${user}\\)[^\\n]*\\n${tab.size().cols}\\n你好\\n`, 'm'));
  // The prompt of Debian's bash sets a title too; `read` holds it back until this title was seen.
  await tab.run(String.raw`printf '\033]2;na''med\007'; read`);
  await tab.page.waitForFunction(() => document.title === 'named · tere');
  await tab.screenshot('1-shell');
  tab.assertNoErrors();
});

test('a program is told the colours of the page, by night and by day', minute, async () => {
  const tab = await enrolled('alice');
  const ask = (/** @type {string} */ word) => tab.run(String.raw`printf '\e]11;?\e\\'; read -rs -t 9 -d '\' a; echo ${word} "${'$'}{a#*rgb:}"`);
  await ask('night');
  // The answer may arrive before `read` turns the echo off, and stand in front of the line.
  await tab.sees(/night 1313\/1515\/1b1b/);
  await tab.page.emulateMedia({ colorScheme: 'light' });
  await ask('day');
  await tab.sees(/day fbfb\/fbfb\/fdfd/);
  tab.assertNoErrors();
});

test('a theme of the settings is what programs are told, and larger letters are fewer columns', minute, async () => {
  const tab = await enrolled('alice');
  const before = tab.size();
  await tab.page.getByRole('button', { name: 'Actions' }).click();
  await tab.page.keyboard.type('settings');
  await tab.page.keyboard.press('Enter');
  const settings = tab.page.getByRole('dialog', { name: 'Settings' });
  await settings.getByLabel('Theme', { exact: true }).selectOption('Gruvbox dark');
  await settings.getByLabel('Size, in pixels').fill('22');
  await tab.screenshot('14-settings');
  await tab.page.keyboard.press('Escape');
  await tab.run(String.raw`printf '\e]11;?\e\\'; read -rs -t 9 -d '\' a; echo ground "${'$'}{a#*rgb:}"`);
  await tab.sees(/ground 2828\/2828\/2828/);
  await tab.run('clear; echo columns $(tput cols)');
  await tab.sees(new RegExp(`^columns ${tab.size().cols}$`, 'm'));
  assert.ok(tab.size().cols < before.cols);
  // The next time it is so from the beginning.
  await tab.page.reload();
  await tab.shell();
  assert.equal(await tab.page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(40, 40, 40)');
  await tab.screenshot('14-gruvbox');
  tab.assertNoErrors();
});

test('the palette leads from one shell to another and back, by keyboard alone', minute, async () => {
  const tab = await enrolled('alice');
  const palette = async (/** @type {string} */ text) => {
    await tab.page.keyboard.press('Control+Shift+P');
    // The list that the palette asks for when it opens.
    await tab.page.getByRole('option', { name: text }).first().waitFor();
    await tab.page.keyboard.type(text);
    await tab.page.keyboard.press('Enter');
  };
  await tab.run(String.raw`mine=first; printf '\033]2;the one befo''re\007'; read`);
  await tab.page.waitForFunction(() => document.title.startsWith('the one before'));
  await palette(`${user}@${machine}`);
  await tab.shell();
  await tab.run('clear; echo new-$mine-');
  await tab.sees(/^new--$/m);
  await sessionsAre(2);
  await tab.page.keyboard.press('Control+Shift+P');
  await tab.page.getByRole('option', { name: 'the one before' }).waitFor();
  await tab.screenshot('15-palette');
  await tab.page.keyboard.press('Escape');
  await palette('the one before');
  await tab.page.waitForSelector('#bar[data-state=live]');
  await tab.page.keyboard.press('Enter');
  await tab.run('clear; echo again-$mine-');
  await tab.sees(/^again-first-$/m);
  await sessionsAre(2);
  tab.assertNoErrors();
});

test('a key of the page that is turned off goes to the program in the machine', minute, async () => {
  const tab = await enrolled('alice');
  await tab.page.keyboard.press('Control+Shift+P');
  await tab.page.keyboard.type('settings');
  await tab.page.keyboard.press('Enter');
  await tab.page.getByRole('dialog', { name: 'Settings' }).getByLabel('Find in the terminal').uncheck();
  await tab.page.keyboard.press('Escape');
  await tab.run(String.raw`printf '\e[>1uas''ked'; read -rsd u key; printf '\e[<u\n%s\n' "got ${'$'}{key#?}"`);
  await tab.sees(/asked$/);
  await tab.page.keyboard.press('Control+Shift+F');
  await tab.sees(/^got \[102;6$/m);
  tab.assertNoErrors();
});

test('two people are in one shell', minute, async () => {
  const alice = await enrolled('alice');
  const bob = await enrolled('bob');
  await alice.run(String.raw`printf '\033[2J\033[H\033[1mplan\033[0m\n'`);
  await alice.page.getByRole('button', { name: 'Share' }).click();
  await alice.page.keyboard.type('bob');
  await alice.page.keyboard.press('Enter');
  await alice.page.getByText('may watch, is not here').waitFor();

  await bob.page.keyboard.press('Control+Shift+L');
  await bob.page.getByRole('button', { name: 'of alice, to watch' }).click();
  await bob.page.getByText('shell of alice, and you are watching').waitFor();
  await bob.sees(/^plan$/m);
  await bob.run('echo nobody $((1+1))');
  await bob.page.getByText('You are watching: what you type goes nowhere.').waitFor();
  await alice.page.getByText('may watch, is here').waitFor();
  await alice.screenshot('share-owner');
  await bob.screenshot('share-watcher');

  await alice.page.getByRole('button', { name: 'Hand keyboard over' }).click();
  await bob.page.getByText('The keyboard is yours too').waitFor();
  await bob.run('echo from bob $((40+2))');
  await alice.sees(/^from bob 42$/m);
  assert.doesNotMatch(await alice.screen(), /nobody/);

  await alice.page.getByRole('button', { name: 'Remove bob' }).click();
  await bob.panelSays(/may not see this shell any more/);
  await alice.page.keyboard.press('Escape');
  await alice.run('echo still $((1+2))');
  await alice.sees(/^still 3$/m);
  alice.assertNoErrors();
  bob.assertNoErrors();
});

test('the shell follows the size of the window', minute, async () => {
  const tab = await enrolled('alice');
  const before = tab.size();
  await tab.page.setViewportSize({ width: 640, height: 420 });
  // The page reports a size in the next animation frame; the echo of a line comes after that.
  await tab.page.waitForFunction((rows) => document.querySelectorAll('.xterm-rows > div').length < rows, before.rows);
  await tab.run('echo size $(stty size) $(tput cols)');
  await tab.sees(/^size \d+ \d+ \d+$/m);
  const now = tab.size();
  assert.ok(now.cols < before.cols && now.rows < before.rows);
  assert.match(await tab.screen(), new RegExp(`^size ${now.rows} ${now.cols} ${now.cols}$`, 'm'));
  await tab.screenshot('2-small');

  const told = tab.sent.filter((message) => message.type === 'resize');
  assert.equal(new Set(told.map((message) => JSON.stringify(message['size']))).size, told.length, 'no size told twice');
  tab.assertNoErrors();
});

test('colours and wide characters are drawn as they are meant', minute, async () => {
  const tab = await enrolled('alice');
  await tab.run(String.raw`clear; printf '\033[31mr\145d\033[0m \033[38;2;1;200;3mtru\145\033[0m\n\u4f60\u597d\174\nabcd\174\n'`);
  await tab.sees(/^你好\|\nabcd\|/m);
  const drawn = await tab.page.evaluate(() => {
    const colour = (/** @type {string} */ text) => {
      const found = [...document.querySelectorAll('.xterm-rows span')].find((span) => span.textContent === text);
      return found && getComputedStyle(found).color;
    };
    const edges = [...document.querySelectorAll('.xterm-rows > div')]
      .filter((row) => /^(你好|abcd)\|/.test(row.textContent ?? ''))
      .map((row) => {
        const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
        for (let text = walker.nextNode(); text; text = walker.nextNode()) {
          const at = text.textContent?.indexOf('|') ?? -1;
          if (at < 0) continue;
          const range = document.createRange();
          range.setStart(text, at);
          range.setEnd(text, at + 1);
          return range.getBoundingClientRect().left;
        }
        return undefined;
      });
    return { red: colour('red'), exact: colour('true'), edges };
  });
  assert.equal(drawn.red, 'rgb(242, 119, 122)');
  assert.equal(drawn.exact, 'rgb(1, 200, 3)');
  const [wide, narrow] = drawn.edges;
  assert.ok(wide !== undefined && narrow !== undefined && Math.abs(wide - narrow) < 1.5, `${wide} is not ${narrow}`);
  await tab.screenshot('3-colours');
  tab.assertNoErrors();
});

test('copy takes the selection, and a paste of several lines waits for Enter', minute, async () => {
  const tab = await enrolled('alice');
  await tab.page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
  await tab.run('clear; echo copy""me');
  await tab.sees(/^copyme$/m);
  const word = await tab.page.evaluate(() => {
    const row = [...document.querySelectorAll('.xterm-rows > div')].find((row) => row.textContent?.trim() === 'copyme');
    const box = row?.firstElementChild?.getBoundingClientRect();
    return box && { x: box.left + 12, y: box.top + box.height / 2 };
  });
  assert.ok(word);
  await tab.page.mouse.dblclick(word.x, word.y);
  await tab.page.keyboard.press('Control+Shift+C');
  const copied = (/** @type {string} */ text) =>
    tab.page.evaluate(async (text) => {
      while ((await navigator.clipboard.readText()) !== text) await new Promise((next) => requestAnimationFrame(next));
    }, text);
  await copied('copyme');

  // A program copies as tmux and vim do, once the person lets it.
  await tab.run(`printf '\\033]52;c;%s\\a' "$(printf from-a-program | base64)"`);
  await tab.page.locator('.notice').getByRole('button', { name: 'Allow' }).click();
  await copied('from-a-program');

  const text = 'echo pasted-$((6*7))\necho again\x1b[201~-$((7*7))\n';
  await tab.page.evaluate((text) => navigator.clipboard.writeText(text), text);
  await tab.page.keyboard.press('Shift+Insert');
  await tab.sees(/echo again\[201~-\$\(\(7\*7\)\)/);
  assert.ok(tab.typed.includes('\x1b[200~'), 'the paste is bracketed');
  await tab.screenshot('4-pasted');
  await tab.page.keyboard.press('Control+C');
  // Bash may append what is typed before the new prompt to the old line.
  await tab.sees(/\^C\s+\S+\$/);
  await tab.run('echo th""en');
  await tab.sees(/^then$/m);
  assert.doesNotMatch(await tab.screen(), /pasted-42|again\S*-49/, 'nothing of the paste was run');

  await tab.page.evaluate(() => navigator.clipboard.writeText('echo one-$((1+1))'));
  await tab.page.keyboard.press('Shift+Insert');
  await tab.sees(/echo one-\$\(\(1\+1\)\)/);
  await tab.page.keyboard.press('Enter');
  await tab.sees(/^one-2$/m);
  tab.assertNoErrors();
});

test('exit says that the shell ended and offers a new one', minute, async () => {
  const tab = await enrolled('alice');
  await tab.run('echo fi""rst; exit');
  await tab.panelSays(/The shell has ended\./);
  // The last screen stays. It is drawn in the browser's next frame, which may come after the panel.
  await tab.sees(/^first$/m);
  await tab.screenshot('5-ended');
  await tab.answer();
  await tab.shell();
  await tab.run('echo sec""ond');
  await tab.sees(/^second$/m);
  assert.doesNotMatch(await tab.screen(), /^first$/m);
  await sessionsAre(1);
  tab.assertNoErrors();
});

test('the next time it is one button', minute, async () => {
  const first = await enrolled('alice', { stay: false });
  await first.run('exit');
  await first.panelSays(/The shell has ended\./);
  const tab = await Tab.open(first.page.context());
  await tab.takePasskeys(first);
  await tab.page.goto(origin);
  await tab.page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
  await tab.screenshot('6-sign-in');
  await tab.page.keyboard.press('Enter');
  await tab.shell();
  assert.equal(await tab.page.locator('#bar-account').textContent(), 'alice');
  tab.assertNoErrors();
});

test('a reloaded tab has its shell again', minute, async () => {
  const tab = await enrolled('alice');
  await tab.run('kept=$((6*7)); echo re""ady');
  // Leaving a page discards the input that is still on its way.
  await tab.sees(/^ready$/m);
  // Without an authenticator there is nothing to touch.
  await tab.devtools.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: tab.authenticator });
  const began = Date.now();
  await tab.page.reload();
  await tab.shell();
  console.log(`reload to shell: ${Date.now() - began} ms`);
  await tab.run('echo kept-$kept');
  await tab.sees(/^kept-42$/m);
  await sessionsAre(1);
  assertCameBack(tab);
  tab.assertNoErrors();
});

test('who does not stay signed in touches the passkey after a reload, and not after a blip', minute, async () => {
  const tab = await enrolled('alice', { stay: false });
  await tab.run('kept=$((6*7))');
  await inHost('systemctl', 'restart', 'tere-front.service');
  await tab.panelSays(/Connection lost/);
  await tab.shell();
  assertCameBack(tab);
  await tab.page.reload();
  await tab.page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
  await tab.pressSignIn();
  await tab.shell();
  await tab.run('echo kept-$kept');
  await tab.sees(/^kept-42$/m);
  tab.assertNoErrors();
});

test('where one is signed in is seen, removed, and left by signing out', minute, async () => {
  const here = await enrolled('alice');
  const there = await Tab.open(await newPerson(browser));
  await there.takePasskeys(here);
  await there.page.goto(origin);
  await there.pressSignIn();
  await there.page.waitForSelector('#lobby:not([hidden]), #bar[data-state=live]');
  await here.page.keyboard.press('Control+Shift+L');
  await here.page.getByRole('button', { name: 'Where you are signed in' }).click();
  const keys = here.page.locator('#signed-in-keys li');
  await keys.nth(1).waitFor();
  assert.match(await keys.nth(0).innerText(), /Chrome on Linux[^]*this browser, passkey used just now/);
  await here.screenshot('signed-in');
  await keys.nth(1).getByRole('button', { name: /^Remove/ }).click();
  await keys.nth(1).waitFor({ state: 'detached' });
  // It is out at once, and does not come back by itself.
  await there.page.waitForSelector('#panel:has-text("this browser was signed out"), #sign-in-message:has-text("this browser was signed out")');
  await there.screenshot('signed-out-from-afar');
  await here.page.keyboard.press('Escape');
  await here.page.getByRole('button', { name: 'Sign out' }).click();
  await here.page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
  await here.page.reload();
  await here.page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
  await here.takePasskeys(there);
  await here.pressSignIn();
  await here.page.getByText('Signed in as alice.').waitFor();
  here.assertNoErrors();
  there.assertNoErrors();
});

test('a shell that alerts is marked in the list of shells until somebody types', minute, async () => {
  const tab = await enrolled('alice');
  await tab.run(String.raw`sleep 0.5; printf '\033]9;May I pro''ceed?\007'`);
  await tab.page.keyboard.press('Control+Shift+L');
  await tab.page.locator('#lobby-sessions .alert').getByText('May I proceed?').waitFor();
  await tab.screenshot('16-alerts');
  await tab.page.keyboard.press('Escape');
  await tab.run('echo answ""ered');
  await tab.sees(/^answered$/m);
  await tab.page.keyboard.press('Control+Shift+L');
  await tab.page.locator('#lobby-sessions li').waitFor();
  await tab.page.locator('#lobby-sessions .alert').waitFor({ state: 'detached' });
  tab.assertNoErrors();
});

test('a tab whose browser signed in to another account does not become that one', minute, async () => {
  const alice = await enrolled('alice');
  await alice.run('echo of alice');
  const bob = await Tab.open(alice.page.context());
  await bob.page.goto(await enrolmentLink('bob'));
  await bob.pressSignIn();
  await bob.shell();
  await inHost('systemctl', 'restart', 'tere-front.service');
  await alice.panelSays(/The server is back\. Sign in again/, 40_000);
  assert.equal(await alice.page.locator('#bar-account').textContent(), 'alice');
  alice.assertNoErrors();
  bob.assertNoErrors();
});

test('a closed tab has left a shell, and the next one finds it', minute, async () => {
  const first = await enrolled('alice');
  await first.run('kept=$((6*7)); echo re""ady');
  await first.sees(/^ready$/m);
  const next = await Tab.open(first.page.context());
  await first.page.close();
  await next.page.goto(origin);
  await next.shell();
  assertCameBack(next);
  await next.run('echo kept-$kept');
  await next.sees(/^kept-42$/m);
  await sessionsAre(1);
  next.assertNoErrors();
});

test('a passkey that is not given is a calm word, and the button again', minute, async () => {
  const tab = await enrolled('alice', { stay: false });
  await tab.page.reload();
  await tab.setUserVerified(false);
  await tab.pressSignIn();
  await tab.signInSays(/No passkey was used/);
  await tab.screenshot('7-cancelled');
  await tab.setUserVerified(true);
  await tab.pressSignIn();
  await tab.shell();
  tab.assertNoErrors();
});

test('a lost connection says so, drops what is typed, and leads back to the same shell', minute, async () => {
  const tab = await enrolled('alice');
  await tab.run('clear; kept=$((6*7)); echo re""ady');
  await tab.sees(/^ready$/m);
  await inHost('systemctl', 'stop', 'tere-front.socket', 'tere-front.service');
  try {
    await tab.panelSays(/Connection lost/);
    await tab.page.keyboard.type('xyz');
    await tab.panelSays(/Not sent: 3 keystrokes/);
    assert.match(await tab.screen(), /^ready$/m, 'the screen stays readable');
    await tab.screenshot('8-lost');
  } finally {
    await inHost('systemctl', 'start', 'tere-front.socket');
  }
  await tab.shell();
  assertCameBack(tab);
  await tab.run('echo kept-$kept');
  await tab.sees(/^kept-42$/m);
  assert.doesNotMatch(await tab.screen(), /xyz/, 'nothing typed meanwhile arrived');
  await sessionsAre(1);
  await tab.screenshot('8-again');
  tab.assertNoErrors();
});

test('without a key to come back with, Enter is enough after a restart', minute, async () => {
  const tab = await enrolled('alice');
  await tab.run('kept=$((6*7)); clear');
  await tab.page.evaluate(() => new Promise((resolve) => (indexedDB.deleteDatabase('tere').onsuccess = resolve)));
  await inHost('systemctl', 'restart', 'tere-front.service');
  await tab.panelSays(/The server is back\. Sign in again/, 40_000);
  await tab.screenshot('8-back');
  await tab.answer();
  await tab.shell();
  await tab.run('echo kept-$kept');
  await tab.sees(/^kept-42$/m);
  tab.assertNoErrors();
});

test('an enrolment link works once, and only as it was made', minute, async () => {
  const link = await enrolmentLink('bob');
  const altered = link.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
  for (const bad of [altered, link.slice(0, -1), `${origin}/#enrol=x`]) {
    const tab = await Tab.open(await newPerson(browser));
    await tab.page.goto(bad);
    await tab.pressSignIn();
    await tab.signInSays(/This enrolment link has been used, has expired or is not complete/);
    if (bad === altered) await tab.screenshot('9-altered');
    tab.assertNoErrors();
  }
  const first = await Tab.open(await newPerson(browser));
  await first.enrol(link);
  const second = await Tab.open(await newPerson(browser));
  await second.page.goto(link);
  await second.pressSignIn();
  await second.signInSays(/This enrolment link has been used/);
  await second.screenshot('9-used');
  await second.page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
  second.assertNoErrors();
});

test('two tabs are two shells', minute, async () => {
  const one = await enrolled('alice');
  const two = await Tab.open(one.page.context());
  await two.page.goto(origin);
  await two.shell();
  await one.run('mine=one; clear');
  await two.run('mine=two; clear');
  await Promise.all([one.run('echo this-is-$mine'), two.run('echo this-is-$mine')]);
  await one.sees(/^this-is-one$/m);
  await two.sees(/^this-is-two$/m);
  assert.doesNotMatch(await one.screen(), /this-is-two/);
  await sessionsAre(2);

  await two.page.bringToFront();
  await two.page.getByRole('button', { name: 'Shells' }).click();
  await two.page.waitForFunction(() => document.querySelectorAll('#lobby-sessions li').length === 2);
  await two.screenshot('10-lobby');
  const other = two.page.locator('#lobby-sessions li').filter({ hasNotText: 'in view here' });
  await other.getByRole('button', { name: /^End/ }).click();
  await other.getByRole('button', { name: /^Really end/ }).click();
  await one.page.bringToFront();
  await one.panelSays(/This session was ended on request/);
  await one.screenshot('10-ended-by-the-other');
  one.assertNoErrors();
  two.assertNoErrors();
});

test('a machine that is powered off says so within 10 s, and starts again for a new shell', { timeout: 120_000 }, async () => {
  const tab = await enrolled('alice');
  await tab.run('clear; echo la""st');
  await tab.sees(/^last$/m);
  await inHost('machinectl', 'poweroff', machine);
  await tab.panelSays(/The machine went away/, 10_000);
  await tab.sees(/^last$/m);
  await tab.screenshot('11-machine-gone');
  // A machine that is still shutting down cannot be started; the message says to try again.
  const deadline = Date.now() + 60_000;
  do {
    await tab.page.locator('#panel .primary').click();
    await tab.page.locator('#bar[data-state=live], #bar[data-state=over]').waitFor({ timeout: 60_000 });
  } while ((await tab.page.locator('#bar').getAttribute('data-state')) !== 'live' && Date.now() < deadline);
  await tab.shell();
  tab.assertNoErrors();
});

test('the host itself takes both locks and a second touch, and its frame is red', minute, async () => {
  const policy = '/etc/tere/tere.toml';
  const rule = '/etc/polkit-1/rules.d/40-tere-host.rules';
  const grant = '[[grant]]\naccounts = ["alice"]\nmachine = ".host"\nuser = "ops"\ntime-limit = "30m"\nreason = true\n';
  await inHost('sh', '-c', `id ops 2>/dev/null || useradd --create-home --shell /bin/bash ops; cp -p ${policy} /run/policy.kept; printf '%s' '${grant}' >>${policy}`);
  await inHost('systemctl', 'reload', 'tere-broker');
  try {
    const tab = await Tab.open(await newPerson(browser));
    await tab.page.goto(await enrolmentLink('alice'));
    await tab.pressSignIn();
    const open = async () => {
      await tab.page.getByRole('dialog').getByRole('textbox').fill('the disk is full');
      await tab.page.getByRole('button', { name: 'Use my passkey' }).click();
    };
    await tab.page.getByRole('button', { name: /^ops@.host/ }).click();
    await open();
    await tab.panelSays(/The host refused to open this shell/);
    await inHost('sh', '-c', `sed 's/^var tereHostUsers = .*/var tereHostUsers = ["ops"];/' /usr/share/tere/polkit/40-tere-host.rules >${rule}; systemctl restart polkit`);
    await tab.page.getByRole('button', { name: 'Try again' }).click();
    await open();
    await tab.shell();
    await tab.run('id -un; systemd-detect-virt --container; ls -d /var/lib/tere');
    await tab.sees(/^ops\n.*\n\/var\/lib\/tere\n/m);
    assert.equal(await tab.page.evaluate(() => document.body.dataset['host']), '');
    await tab.screenshot('12-host');
    // A reload is another view, and takes another touch.
    await tab.page.reload();
    await tab.page.getByRole('dialog').getByText('your passkey is needed for each view of it').waitFor();
    await tab.page.getByRole('button', { name: 'Use my passkey' }).click();
    await tab.sees(/\/var\/lib\/tere/);
    tab.assertNoErrors();
  } finally {
    await inHost('sh', '-c', `cat /run/policy.kept >${policy}; rm -f ${rule}; systemctl restart polkit; systemctl reload tere-broker`);
  }
});

test('a machine is made, copied, kept, taken back, stopped and removed in the page', { timeout: 180_000 }, async () => {
  const policy = '/etc/tere/tere.toml';
  const machines = `
[[grant]]
accounts = ["alice"]
machine = "{account}-box"
user = "dev"
[[grant]]
accounts = ["alice"]
machine = "{account}.{task}"
user = "dev"
[[machine]]
name = "{account}-box"
template = "debian"
idle = "2h"
allow = ["checkpoint", "rebuild", "fork"]
[[machine]]
name = "{account}.{task}"
template = "debian"
allow = ["remove"]
`;
  await inHost('sh', '-c', `cp -p ${policy} /run/policy.kept; printf '%s' '${machines}' >>${policy}; systemctl reload tere-broker`);
  const remove = 'for m in alice-box alice.try; do tere machine remove $m --home --yes; done >/dev/null 2>&1 || :';
  try {
    const tab = await Tab.open(await newPerson(browser));
    await tab.page.goto(await enrolmentLink('alice'));
    await tab.pressSignIn();
    const press = (/** @type {string} */ name) => tab.page.getByRole('button', { name }).click();
    const told = (/** @type {string} */ text) => tab.page.locator('#notices').getByText(text).waitFor({ timeout: 60_000 });
    const target = (/** @type {string} */ name) => tab.page.locator('#lobby-targets > li > .choice', { hasText: name });
    const shells = () => tab.page.keyboard.press('Control+Shift+L');
    await target('dev@alice-box').click();
    await tab.shell();
    await tab.run('echo one >~/mark; clear; echo wr""itten');
    await tab.sees(/^written$/m);
    assert.equal(tab.page.url(), `${origin}/#open=dev@alice-box`);

    // A copy has what the machine has.
    await shells();
    await press('Machine alice-box');
    await press('Keep a checkpoint');
    await told('A checkpoint of alice-box is kept.');
    await press('Copy alice-box');
    await tab.page.keyboard.type('try');
    await tab.page.keyboard.press('Enter');
    await told('alice.try is ready');
    await tab.screenshot('13-machines');
    await target('dev@alice.try').click();
    await tab.shell();
    await tab.run('clear; cat ~/mark; hostname');
    await tab.sees(/^one\nalice\.try$/m);

    // It is removed, with the shell in it.
    await shells();
    await press('Machine alice.try');
    await press('Remove alice.try with its home');
    await press('Remove alice.try with its home?');
    await told('alice.try is removed.');
    await target('dev@alice.try').waitFor({ state: 'detached' });

    // Back to the checkpoint. Whoever views a shell there is told why it ended.
    await tab.page.locator('#lobby-sessions .choice').click();
    await tab.shell();
    await tab.run('echo two >~/mark; clear; echo wr""itten');
    await tab.sees(/^written$/m);
    await inHost('tere', 'machine', 'rollback', 'alice-box', '--yes');
    await tab.panelSays(/The machine went back to a checkpoint/);
    await tab.page.getByRole('button', { name: 'New shell' }).click();
    await tab.shell();
    await tab.run('clear; cat ~/mark');
    await tab.sees(/^one$/m);

    // Nobody has used it for three hours.
    const later = `systemctl stop tere-upkeep.timer; for try in $(seq 20); do
      systemctl is-active --quiet tere-managed@alice-box || exit 0
      systemd-run --quiet --machine=alice-box --pipe --wait sh -c "touch -a -d '3 hours ago' /dev/pts/[0-9]*"
      sed -i "s/\\"used\\":[0-9]*/\\"used\\":$(($(date +%s) - 10800))/" /run/tere-upkeep/alice-box || :
      systemctl start tere-upkeep.service
    done; exit 1`;
    await inHost('sh', '-c', later);
    await tab.panelSays(/The machine was stopped to save resources: nobody used it/);
    await tab.screenshot('13-idle');
    await tab.page.getByRole('button', { name: 'Start again' }).click();
    await tab.shell();
    tab.assertNoErrors();
  } finally {
    await inHost('sh', '-c', `systemctl start tere-upkeep.timer; ${remove}; cat /run/policy.kept >${policy}; systemctl reload tere-broker`);
  }
});
