// Tests of the page against a simulated front, without a host.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { Front, ORIGIN } from './front.mjs';
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
});

const minute = { timeout: 60_000 };

/** A tab at the sign-in form, with a front of its own. @param {(front: Front) => void} prepare */
async function atSignIn(prepare = () => {}) {
  const person = await newPerson(browser);
  const front = await Front.serve(person);
  prepare(front);
  const tab = await Tab.open(person);
  return { front, tab };
}

/** A tab that has just registered its passkey. @param {(front: Front) => void} [prepare] */
async function signedIn(prepare) {
  const { front, tab } = await atSignIn(prepare);
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.pressSignIn();
  return { front, tab };
}

/** Waits until the clipboard has this text. @param {Tab} tab @param {string} text */
async function copied(tab, text) {
  await tab.page.evaluate(async (text) => {
    while ((await navigator.clipboard.readText()) !== text) await new Promise((next) => requestAnimationFrame(next));
  }, text);
}

const web1 = { machine: 'web1', user: 'dev' };
const two = [web1, { machine: 'alice-box', user: 'alice' }];

test('the token of a link goes to the front and out of the address and the history', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  assert.deepEqual(front.heard[0], { type: 'enrol', token: 'token' });
  assert.equal(tab.page.url(), `${ORIGIN}/#open=dev@web1`, 'the address of the shell, for a bookmark');
  await tab.page.goto('about:blank');
  await tab.page.goBack();
  assert.equal(tab.page.url(), `${ORIGIN}/`);
  tab.assertNoErrors();
});

test('of several targets the person chooses, by keyboard too', minute, async () => {
  const { front, tab } = await signedIn((front) => (front.targets = two));
  await tab.page.locator('#lobby-targets li').nth(1).waitFor();
  await tab.screenshot('page-lobby');
  await tab.page.keyboard.press('Tab');
  await tab.page.keyboard.press('Enter');
  await tab.shell();
  assert.deepEqual(front.heard.find((message) => message.type === 'open')?.['target'], two[1]);
  assert.equal(await tab.page.locator('#bar-where').textContent(), 'alice@alice-box');
  tab.assertNoErrors();
});

test('a live session can be viewed, and ended after a second question', minute, async () => {
  const opened = Date.now() / 1000 - 7200;
  const { front, tab } = await signedIn((front) => {
    front.targets = two;
    front.sessions = [{ id: 'zzzzzzzz2222', target: web1, opened, viewing: ['alice'] }];
  });
  await tab.page.getByText('opened 2 hours ago').waitFor();
  const end = tab.page.getByRole('button', { name: 'End the shell of dev@web1: zzzzzzzz2222' });
  await end.click();
  const sure = tab.page.getByRole('button', { name: 'Really end the shell of dev@web1: zzzzzzzz2222? Press once more.' });
  assert.equal(await sure.textContent(), 'Really end it?');
  assert.match((await tab.page.locator('#announcement').textContent()) ?? '', /Press once more/);
  // Moving the focus elsewhere withdraws the question.
  await tab.page.keyboard.press('Shift+Tab');
  await end.click();
  await tab.page.getByRole('button', { name: /^dev@web1\s?opened/ }).click();
  await tab.shell();
  assert.deepEqual(
    front.heard.filter((message) => ['end-session', 'attach'].includes(message.type)).map((message) => [message.type, message['session']]),
    [['attach', 'zzzzzzzz2222']],
  );
  await tab.page.getByRole('button', { name: 'Shells' }).click();
  await end.click();
  await sure.click();
  await tab.page.getByText('ending…').waitFor();
  // Nothing reports the end to the lobby; it polls.
  await tab.page.locator('#lobby-live').waitFor({ state: 'hidden' });
  assert.equal(front.heard.filter((message) => message.type === 'end-session').length, 1);
  tab.assertNoErrors();
});

test('news of the lobby changes nothing under the hands of whoever is busy there', minute, async () => {
  const { front, tab } = await signedIn((front) => {
    front.targets = two;
    front.sessions = ['aaaaaaaa2222', 'bbbbbbbb2222'].map((id) => ({ id, target: web1, opened: 0, viewing: ['alice'] }));
  });
  const rows = tab.page.locator('#lobby-sessions li');
  await rows.nth(1).waitFor();
  await tab.page.getByRole('button', { name: 'Name the shell of dev@web1: bbbbbbbb2222' }).focus();
  front.sessions.shift();
  front.tellLobby();
  await rows.nth(1).waitFor({ state: 'detached' });
  assert.equal(await tab.page.evaluate(() => document.activeElement?.getAttribute('data-key')), 'name bbbbbbbb2222');
  await tab.page.keyboard.press('Enter');
  await tab.page.keyboard.type('\u2066the \u{1f469}\u200d\u{1f467} bu');
  front.targets = [web1];
  front.tellLobby();
  // Messages from the front reach the page over the same path, and before this call.
  await tab.page.evaluate(() => undefined);
  await tab.page.keyboard.type('ild');
  await tab.page.keyboard.press('Enter');
  await front.hears('name');
  assert.equal(front.heard.find((message) => message.type === 'name')?.['name'], 'the \u{1f469}\u{1f467} build');
  await tab.page.getByText('the \u{1f469}\u{1f467} build').waitFor();
  assert.equal(await tab.page.locator('#lobby-targets li').count(), 1, 'what was heard meanwhile is shown then');
  tab.assertNoErrors();
});

test('a live session has a name, the title of its program, and who looks at it', minute, async () => {
  const { front, tab } = await signedIn((front) => {
    front.targets = two;
    const about = { title: 'vim notes', size: { cols: 80, rows: 24 }, idle: 90, viewers: 2 };
    const opened = Date.now() / 1000 - 7200;
    front.sessions = [{ id: 'zzzzzzzz2222', target: web1, opened, name: null, about, viewing: ['alice', 'bob'] }];
  });
  await tab.page.getByText('vim notes').waitFor();
  await tab.page.getByText('opened 2 hours ago, active 1 minute ago, viewed by alice, bob').waitFor();
  await tab.page.getByRole('button', { name: 'Name the shell of dev@web1' }).click();
  await tab.page.keyboard.type(' the build ');
  await tab.page.keyboard.press('Enter');
  await tab.page.getByText('the build').waitFor();
  await tab.screenshot('page-named');
  assert.equal(front.heard.find((message) => message.type === 'name')?.['name'], 'the build');
  tab.assertNoErrors();
});

test('an owner sees who is there, hands the keyboard over, takes it back and removes', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  const session = 'abcdefgh2345';
  /** @param {object[]} guests */
  const participants = (guests) => [{ account: front.account, role: 'owner', views: 1 }, ...guests];
  /** @param {object[]} guests */
  const say = (guests) => front.say({ type: 'sharing', session, participants: participants(guests), role: 'owner', shareable: 'writer' });
  const share = tab.page.locator('#bar-share');
  assert.ok(!(await share.isVisible()), 'nothing is said of sharing yet');
  say([]);
  await share.click();
  await tab.page.keyboard.type('Bob!');
  await tab.page.keyboard.press('Enter');
  assert.ok(!front.heard.some((message) => message.type === 'share'), 'that is no name of an account');
  await tab.page.locator('#share-account').fill('alice');
  await tab.page.keyboard.press('Enter');
  await tab.page.getByText('this shell is yours already').waitFor();
  assert.ok(!front.heard.some((message) => message.type === 'share'));
  await tab.page.locator('#share-account').fill('bob');
  await tab.page.keyboard.press('Enter');
  await front.hears('share');
  say([{ account: 'bob', role: 'watcher', views: 0 }, { account: 'carol', role: 'writer', views: 2 }]);
  await tab.page.getByText('may watch, is not here').waitFor();
  await tab.page.getByText('may type, is here').waitFor();
  assert.equal(await tab.page.locator('#bar-participants').textContent(), 'with carol');
  await tab.screenshot('page-share');
  await tab.page.getByRole('button', { name: 'Hand keyboard over' }).click();
  await tab.page.getByRole('button', { name: 'Take keyboard back' }).click();
  await tab.page.getByRole('button', { name: 'Remove carol' }).click();
  say([{ account: 'bob', role: 'writer', views: 1 }]);
  await tab.page.getByText('carol').waitFor({ state: 'detached' });
  const said = front.heard.filter((message) => message.type === 'share');
  assert.deepEqual(
    said.map((message) => [message['session'], message['account'], message['role']]),
    [['bob', 'watcher'], ['bob', 'writer'], ['carol', 'watcher'], ['carol', null]].map((one) => [session, ...one]),
  );
  await tab.page.keyboard.press('Escape');
  await tab.page.waitForFunction(() => document.activeElement?.closest('#screen'));
  await tab.page.keyboard.press('Control+Shift+S');
  await tab.page.locator('#share').waitFor();
  front.say({ type: 'closed', stream: 1, reason: 'shell-ended' });
  await tab.page.locator('#share').waitFor({ state: 'hidden' });
  assert.equal(await share.getAttribute('aria-expanded'), 'false');
  tab.assertNoErrors();
});

test('where others may only watch, nobody is offered the keyboard', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  /** @param {string | null} shareable @param {string} role */
  const say = (shareable, role) => {
    const participants = [{ account: front.account, role: 'owner', views: 1 }, { account: 'bob', role, views: 1 }];
    front.say({ type: 'sharing', session: 'abcdefgh2345', participants, role: 'owner', shareable });
  };
  say('watcher', 'watcher');
  await tab.page.locator('#bar-share').click();
  await tab.page.getByText('Nobody but you may type here.').waitFor();
  assert.equal(await tab.page.getByRole('button', { name: 'Hand keyboard over' }).count(), 0);
  await tab.screenshot('page-share-watch');
  await tab.page.locator('#share-account').fill('carol');
  await tab.page.keyboard.press('Enter');
  await front.hears('share');
  assert.deepEqual(front.heard.filter((message) => message.type === 'share').map((message) => message['role']), ['watcher']);
  // The policy becomes wider, and narrower again before the broker has taken the keyboard back.
  say('writer', 'watcher');
  await tab.page.getByRole('button', { name: 'Hand keyboard over' }).click();
  say('watcher', 'writer');
  await tab.page.getByRole('button', { name: 'Take keyboard back' }).waitFor();
  // What may not be shared at all can still be taken back.
  say(null, 'watcher');
  await tab.page.locator('#share-form').waitFor({ state: 'hidden' });
  await tab.page.getByRole('button', { name: 'Remove bob' }).click();
  assert.equal(front.heard.findLast((message) => message.type === 'share')?.['role'], null);
  tab.assertNoErrors();
});

test('a watcher is told that keys go nowhere, and when they do not any more', minute, async () => {
  const { front, tab } = await signedIn((front) => {
    front.targets = [];
    const opened = Date.now() / 1000;
    front.sessions = [{ id: 'zzzzzzzz2222', target: web1, opened, owner: 'carol', role: 'watcher', viewing: ['carol'] }];
  });
  await tab.page.getByText('of carol, to watch').waitFor();
  assert.equal(await tab.page.getByRole('button', { name: /^(Name|End) / }).count(), 0, 'it is not theirs');
  await tab.screenshot('page-shared-with-me');
  await tab.page.getByRole('button', { name: 'dev@web1' }).click();
  await tab.shell();
  /** @param {string} role */
  const say = (role) => {
    const participants = [{ account: 'carol', role: 'owner', views: 1 }, { account: front.account, role, views: 1 }];
    front.say({ type: 'sharing', session: 'zzzzzzzz2222', participants, role, shareable: 'writer' });
  };
  say('watcher');
  await tab.page.getByText('shell of carol, and you are watching').waitFor();
  assert.ok(!(await tab.page.locator('#bar-share').isVisible()));
  await tab.page.keyboard.type('secret');
  await tab.page.getByText('You are watching: what you type goes nowhere.').waitFor();
  say('writer');
  await tab.page.getByText('The keyboard is yours too').waitFor();
  await tab.page.keyboard.type('ls');
  await front.typedAll(/^ls$/);
  front.say({ type: 'closed', stream: 1, reason: 'view-closed' });
  await tab.panelSays(/may not see this shell any more/);
  assert.equal(await tab.page.getByRole('button', { name: 'New shell' }).count(), 0);
  tab.assertNoErrors();
});

test('a new shell does not hide the ones that still run', minute, async () => {
  const { tab } = await signedIn((front) => {
    front.sessions = [{ id: 'zzzzzzzz2222', target: web1, opened: 0, viewing: ['alice'] }];
  });
  await tab.shell();
  await tab.page.getByText('1 other shell of yours is still running: see Shells.').waitFor();
  await tab.page.keyboard.press('Control+Shift+L');
  await tab.page.getByRole('heading', { name: 'Still running' }).waitFor();
  await tab.page.keyboard.press('Escape');
  await tab.page.waitForFunction(() => document.activeElement?.closest('#screen'));
  tab.assertNoErrors();
});

test('a shell that was left is there again, in another tab or on another device', minute, async () => {
  const { front, tab } = await signedIn((front) => {
    front.sessions = [
      { id: 'aaaaaaaa2222', target: web1, opened: 0 },
      { id: 'bbbbbbbb2222', target: web1, opened: 0, viewing: ['alice'] },
      { id: 'cccccccc2222', target: web1, opened: 0, owner: 'carol', role: 'watcher' },
    ];
  });
  await tab.shell();
  assert.equal(front.heard.find((message) => message.type === 'attach')?.['session'], 'aaaaaaaa2222');
  assert.ok(!front.heard.some((message) => message.type === 'open'));
  tab.assertNoErrors();
});

test('of several shells that were left the person chooses', minute, async () => {
  const { front, tab } = await signedIn((front) => {
    front.sessions = ['aaaaaaaa2222', 'bbbbbbbb2222'].map((id) => ({ id, target: web1, opened: 0 }));
  });
  await tab.page.getByRole('heading', { name: 'Still running' }).waitFor();
  assert.equal(await tab.page.locator('#lobby-sessions li').count(), 2);
  assert.ok(!front.heard.some((message) => message.type === 'open' || message.type === 'attach'));
  tab.assertNoErrors();
});

test('nobody is told nothing: an account without grants gets a sentence', minute, async () => {
  const { tab } = await signedIn((front) => (front.targets = []));
  await tab.page.getByText('Nothing is granted to alice yet.').waitFor();
  tab.assertNoErrors();
});

test('a machine that is made and started says how far it is', minute, async () => {
  const { front, tab } = await signedIn((front) => (front.opens = false));
  await front.hears('open');
  front.say({ type: 'progress', stream: 1, step: 'making' });
  await tab.panelSays(/Making your machine web1…/);
  await tab.screenshot('page-making');
  front.say({ type: 'progress', stream: 1, step: 'booting' });
  await tab.panelSays(/Starting web1…/);
  const progress = tab.page.getByRole('progressbar');
  assert.ok(Number(await progress.getAttribute('value')) > 0);
  await tab.screenshot('page-booting');
  front.open();
  await tab.shell();
  assert.equal(await tab.page.locator('#panel').isVisible(), false);
  tab.assertNoErrors();
});

test('a machine is copied, kept, taken back and removed, as far as the policy allows', minute, async () => {
  const checkpoint = { checkpoint: 3, kept: Date.now() / 1000 - 7200, reason: 'before-rebuild', home: false };
  const box = { machine: 'alice-box', task: false, expires: null, outdated: true, checkpoints: [checkpoint], allow: ['checkpoint', 'rebuild', 'fork'] };
  const task = { machine: 'alice.old', task: true, expires: Date.now() / 1000 + 7210, outdated: false, checkpoints: [], allow: ['remove'] };
  const { front, tab } = await signedIn((front) => {
    front.targets = [{ user: 'dev', machine: 'alice-box' }, { user: 'dev', machine: 'alice.old' }, { user: 'dev', machine: 'web1' }];
    front.machines = [box, task];
    front.tasks = [{ user: 'dev', before: 'alice.', after: '' }];
  });
  const row = (/** @type {string} */ name) => tab.page.locator('#lobby-targets > li', { has: tab.page.getByText(name, { exact: true }) });
  const button = (/** @type {string} */ name) => tab.page.getByRole('button', { name });
  await row('dev@alice-box').getByText('a newer system is there').waitFor();
  await row('dev@alice.old').getByText('removed in 2 hours').waitFor();
  assert.equal(await row('dev@web1').getByRole('button').count(), 1, 'a machine that tere did not make has no controls');
  await button('Machine alice-box').click();
  await tab.page.getByText('Checkpoint 3, 2 hours ago, before a rebuild, without the home').waitFor();
  assert.equal(await button('Remove alice-box').count(), 0, 'what the policy does not allow is not offered');
  await tab.screenshot('page-machine');

  // A copy: a name that no task may have is refused here, and what is made is told.
  await button('Copy alice-box').click();
  const name = tab.page.getByRole('textbox', { name: 'Name of a copy of alice-box' });
  await name.fill('../x');
  await name.press('Enter');
  assert.equal(await name.evaluate((input) => /** @type {HTMLInputElement} */ (input).validity.customError), true);
  await name.fill('Big try');
  await tab.screenshot('page-machine-copy');
  await name.press('Enter');
  const fork = { fork: { machine: 'alice-box', copy: 'alice.big-try' } };
  await front.hears('change-machine');
  assert.deepEqual(front.heard.at(-1), { type: 'change-machine', change: fork });
  await row('dev@alice-box').getByText('copying to alice.big-try…').waitFor();
  assert.equal(await button('Keep a checkpoint').isDisabled(), true, 'one change at a time');
  front.say({ type: 'machine-changed', change: fork, refusal: null });
  front.targets.push({ user: 'dev', machine: 'alice.big-try' });
  front.tellLobby();
  await tab.page.locator('#notices').getByText('alice.big-try is ready: a copy of alice-box.').waitFor();
  await row('dev@alice.big-try').waitFor();

  // What cannot be undone asks, and a refusal is a sentence.
  await button('Rebuild alice-box').click();
  await button('Stop alice-box and make a fresh system?').click();
  await front.hears('change-machine', 2);
  const rebuild = { rebuild: { machine: 'alice-box' } };
  assert.deepEqual(front.heard.at(-1), { type: 'change-machine', change: rebuild });
  front.say({ type: 'machine-changed', change: rebuild, refusal: 'storage-failed' });
  front.tellLobby();
  await tab.page.locator('#notices').getByText('The host could not store this. Its disk may be full.').waitFor();
  await button('Go back to checkpoint 3 of alice-box').click();
  await button('Stop alice-box and go back to checkpoint 3?').click();
  await front.hears('change-machine', 3);
  assert.deepEqual(front.heard.at(-1)?.['change'], { rollback: { machine: 'alice-box', checkpoint: 3 } });
  await button('Machine alice.old').click();
  await button('Remove alice.old with its home').click();
  await button('Remove alice.old with its home?').click();
  await front.hears('change-machine', 4);
  assert.deepEqual(front.heard.at(-1)?.['change'], { remove: { machine: 'alice.old' } });

  // A new machine is made by opening it.
  await button('Make a new machine for a task, as dev').click();
  await tab.page.getByRole('textbox', { name: 'Name of a new machine' }).fill('fresh');
  await tab.page.keyboard.press('Enter');
  await tab.shell();
  const opened = front.heard.find((message) => message.type === 'open');
  assert.deepEqual(opened?.['target'], { user: 'dev', machine: 'alice.fresh' });
  tab.assertNoErrors();
});

test('a machine that was stopped because nobody used it can be started again', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.say({ type: 'machine-stopped', machine: 'web1', why: 'idle' });
  front.say({ type: 'closed', stream: 1, reason: 'machine-gone', exit: null });
  await tab.panelSays(/The machine was stopped to save resources: nobody used it/);
  await tab.screenshot('page-idle');
  await tab.page.getByRole('button', { name: 'Start again' }).click();
  await tab.shell();
  assert.equal(front.heard.filter((message) => message.type === 'open').length, 2);
  tab.assertNoErrors();
});

test('a link leads to a target or to a session, and never to what takes a touch', minute, async () => {
  const session = { id: 'aaaaaaaaaaaa', target: web1, opened: 0, viewing: ['alice'] };
  const { front, tab } = await atSignIn((front) => {
    front.targets = [...two, { user: 'root', machine: '.host' }, { user: 'dev', machine: 'vault' }];
    front.terms = { 'root@.host': { limit: 300 }, 'dev@vault': { touch: true } };
    front.sessions = [session];
  });
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.pressSignIn();
  await tab.page.locator('#lobby-targets li').nth(2).waitFor();
  const follow = async (/** @type {string} */ link) => {
    await tab.page.goto('about:blank');
    await tab.page.goto(`${ORIGIN}/${link}`);
    front.heard.length = 0;
    await tab.pressSignIn();
  };
  await follow('#open=alice@alice-box');
  await tab.shell();
  assert.deepEqual(front.heard.find((message) => message.type === 'open')?.['target'], two[1]);
  assert.equal(tab.page.url(), `${ORIGIN}/#open=alice@alice-box`);
  await follow('#session=aaaaaaaaaaaa');
  await tab.shell();
  assert.equal(front.heard.find((message) => message.type === 'attach')?.['session'], 'aaaaaaaaaaaa');
  for (const link of ['#open=root@.host', '#open=dev@vault', '#open=mallory@web1', '#session=bbbbbbbbbbbb']) {
    await follow(link);
    await tab.page.locator('#notices').getByText('This link leads to nothing that you may open now.').waitFor();
    assert.equal(front.heard.some((message) => ['open', 'attach', 'step-up'].includes(message.type)), false, link);
    assert.equal(tab.page.url(), `${ORIGIN}/`);
  }
  tab.assertNoErrors();
});

test('a refused shell is a sentence, and can be tried again', minute, async () => {
  const { front, tab } = await signedIn((front) => (front.refusal = 'machine-without-bus'));
  await tab.panelSays(/needs systemd and D-Bus inside/);
  await tab.screenshot('page-refused');
  front.refusal = undefined;
  await tab.page.getByRole('button', { name: 'Try again' }).click();
  await tab.shell();
  tab.assertNoErrors();
});

test('a session in a machine says when it ends, without the red frame', minute, async () => {
  const { tab } = await signedIn((front) => (front.leftInMachine = 1200));
  await tab.shell();
  await tab.page.locator('#bar-limit').filter({ hasText: /^Ends at / }).waitFor();
  assert.equal(await tab.page.evaluate(() => document.body.dataset['host']), undefined);
  await tab.screenshot('page-limit');
  tab.assertNoErrors();
});

test('a session in a machine that ends soon is announced', minute, async () => {
  const { tab } = await signedIn((front) => (front.leftInMachine = 62));
  await tab.shell();
  await tab.page.getByText(/^This session ends in /).first().waitFor();
  tab.assertNoErrors();
});

const onHost = { machine: '.host', user: 'ops' };

/** A tab in the lobby of somebody who may open a shell on the host. @param {(front: Front) => void} prepare */
async function withHost(prepare = () => {}) {
  return signedIn((front) => {
    front.targets = [web1, onHost];
    front.terms = { 'ops@.host': { reason: true, limit: 1800 } };
    prepare(front);
  });
}

test('a shell on the host takes a reason and another touch, and its frame is red', minute, async () => {
  const { front, tab } = await withHost();
  const target = tab.page.getByRole('button', { name: /^ops@.host/ });
  await target.waitFor();
  await tab.screenshot('page-host-lobby');
  await target.click();
  const dialog = tab.page.getByRole('dialog');
  await dialog.getByText('the session ends after 30 minutes').waitFor();
  await tab.screenshot('page-host-touch');
  // Without a reason, nothing is sent.
  const go = dialog.getByRole('button', { name: 'Use my passkey' });
  await go.click();
  await dialog.getByRole('textbox').fill(' the disk is full ');
  assert.deepEqual(front.heard.filter((message) => message.type === 'step-up'), []);
  await go.click();
  await tab.shell();
  const touch = front.heard.find((message) => message.type === 'touch');
  assert.deepEqual(touch?.['view'], { open: { target: onHost, reason: 'the disk is full' } });
  assert.equal(typeof touch?.['credential'].response.signature, 'string');
  await tab.page.locator('#bar-limit').filter({ hasText: /^On the host, ends at / }).waitFor();
  assert.equal(await tab.page.evaluate(() => document.body.dataset['host']), '');
  await tab.screenshot('page-host');
  // The frame belongs to this shell alone.
  await tab.page.getByRole('button', { name: 'Shells' }).click();
  await tab.page.getByRole('button', { name: /^dev@web1/ }).click();
  await tab.shell();
  assert.equal(await tab.page.evaluate(() => document.body.dataset['host']), undefined);
  assert.equal(await tab.page.locator('#bar-limit').textContent(), '');
  tab.assertNoErrors();
});

const vault = { machine: 'vault', user: 'dev' };

test('a command line is signed in by its code and a touch, and the default answer is no', minute, async () => {
  const { front, tab } = await atSignIn((front) => {
    front.targets = two;
    front.binding = { key: '0123456789abcdef', name: 'laptop', source: '192.0.2.1', allow: ['list', 'attach'], seconds: 2592000 };
  });
  const sent = () => front.heard.map((message) => message.type).filter((type) => /bind/.test(type));
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.pressSignIn();
  const dialog = tab.page.locator('#key');
  const type = async () => {
    await tab.page.getByRole('button', { name: 'Sign in a command line' }).click();
    await tab.page.locator('#key-code').fill('01az-9k01');
    await tab.page.keyboard.press('Enter');
    await dialog.getByText('Let laptop act as you?').waitFor();
  };
  await type();
  assert.match((await dialog.textContent()) ?? '', /For 30 days, without asking again, it may list your targets/);
  assert.match((await dialog.textContent()) ?? '', /192\.0\.2\.1/);
  await tab.screenshot('page-key');
  // Whoever presses a key without reading says no.
  await tab.page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'hidden' });
  await front.hears('decline-binding');
  assert.deepEqual(sent(), ['find-binding', 'decline-binding']);
  await type();
  await dialog.getByRole('button', { name: 'Use my passkey to allow it' }).click();
  await dialog.getByText('The command line is signed in').waitFor();
  assert.deepEqual(sent().slice(2), ['find-binding', 'bind']);
  assert.equal(typeof front.heard.find((message) => message.type === 'bind')?.['credential'].response.signature, 'string');
  await dialog.getByRole('button', { name: 'Close' }).click();
  front.binding = undefined;
  await tab.page.getByRole('button', { name: 'Sign in a command line' }).click();
  await tab.page.locator('#key-code').fill('wrong');
  await tab.page.keyboard.press('Enter');
  await dialog.getByText('No command line waits with this code').waitFor();
  tab.assertNoErrors();
});

test('a shell in a machine that takes a touch asks for it and says why, without the red frame', minute, async () => {
  const { front, tab } = await signedIn((front) => {
    front.targets = [web1, vault];
    front.terms = { 'dev@vault': { touch: true, limit: 1800 } };
    front.leftInMachine = 1800;
  });
  const target = tab.page.getByRole('button', { name: /^dev@vault/ });
  await target.getByText('with your passkey once more').waitFor();
  await tab.screenshot('page-touch-lobby');
  await target.click();
  const dialog = tab.page.getByRole('dialog');
  await dialog.getByText('The policy of this host demands your passkey once more for each shell there').waitFor();
  await tab.screenshot('page-touch');
  await dialog.getByRole('button', { name: 'Use my passkey' }).click();
  await tab.shell();
  const touch = front.heard.find((message) => message.type === 'touch');
  assert.deepEqual(touch?.['view'], { open: { target: vault, reason: null } });
  assert.equal(typeof touch?.['credential'].response.signature, 'string');
  await tab.page.locator('#bar-limit').filter({ hasText: /^Ends at / }).waitFor();
  assert.equal(await tab.page.evaluate(() => document.body.dataset['host']), undefined);
  assert.equal(tab.page.url(), `${ORIGIN}/`, 'no link leads there');
  await tab.screenshot('page-touch-shell');

  // Another view takes another touch; the policy may come to demand one that nobody knew of.
  front.sessions = [{ id: 'zzzzzzzz2222', target: vault, opened: Date.now() / 1000 }];
  await tab.page.getByRole('button', { name: 'Shells' }).click();
  await tab.page.locator('#lobby-sessions li button.choice').click();
  await dialog.getByText('demands your passkey for each view of this session').waitFor();
  await tab.screenshot('page-touch-view');
  await tab.page.keyboard.press('Escape');
  await tab.page.getByRole('button', { name: /^dev@web1/ }).waitFor();
  front.refusal = 'touch-required';
  front.termsOnceRefused = { 'dev@web1': { touch: true, reason: true } };
  await tab.page.getByRole('button', { name: /^dev@web1/ }).click();
  await tab.panelSays(/needs your passkey once more/);
  front.refusal = undefined;
  await tab.page.getByRole('button', { name: 'Try again' }).click();
  await dialog.getByText('demands your passkey once more and a reason in words').waitFor();
  await dialog.getByRole('textbox').fill('the disk is full');
  await dialog.getByRole('button', { name: 'Use my passkey' }).click();
  await tab.shell();
  const last = front.heard.findLast((message) => message.type === 'touch');
  assert.deepEqual(last?.['view'], { open: { target: web1, reason: 'the disk is full' } });
  // A view that the policy closes has the page ask what there is now.
  const lists = front.heard.filter((message) => message.type === 'list').length;
  front.say({ type: 'closed', stream: last?.['stream'], reason: 'view-closed', exit: null });
  await tab.panelSays(/may not see this shell any more/);
  await front.hears('list', lists + 1);
  tab.assertNoErrors();
});

test('a shell that takes a reason and no touch asks for the reason alone', minute, async () => {
  const { front, tab } = await signedIn((front) => {
    front.targets = [web1, vault];
    front.terms = { 'dev@vault': { reason: true } };
  });
  await tab.page.getByRole('button', { name: /^dev@vault/ }).click();
  const dialog = tab.page.getByRole('dialog');
  await dialog.getByText('demands a reason in words for each shell there').waitFor();
  await tab.screenshot('page-reason');
  const go = dialog.getByRole('button', { name: 'Open' });
  await go.click();
  assert.deepEqual(front.heard.filter((message) => message.type === 'open'), []);
  await dialog.getByRole('textbox').fill('the disk is full');
  await go.click();
  await tab.shell();
  const open = front.heard.find((message) => message.type === 'open');
  assert.deepEqual([open?.['target'], open?.['reason']], [vault, 'the disk is full']);
  assert.equal(tab.page.url(), `${ORIGIN}/#open=dev@vault`);
  tab.assertNoErrors();
});

test('the end of a shell on the host is announced before it comes', minute, async () => {
  const { front, tab } = await withHost((front) => {
    front.terms = {};
    front.left = 61;
  });
  await tab.page.getByRole('button', { name: /^ops@.host/ }).click();
  await tab.page.getByRole('button', { name: 'Use my passkey' }).click();
  await tab.shell();
  await tab.page.locator('#notices').getByText(/This session on the host ends in \d+ seconds/).waitFor();
  await tab.page.locator('#bar-limit').filter({ hasText: /ends in \d+ seconds/ }).waitFor();
  await tab.screenshot('page-host-warning');
  front.say({ type: 'end', stream: 1 });
  front.say({ type: 'closed', stream: 1, reason: 'time-limit', exit: null });
  await tab.panelSays(/The time of this session is over/);
  await tab.screenshot('page-host-over');
  tab.assertNoErrors();
});

test('whoever comes back to a shell on the host is asked for a touch, and may leave it', minute, async () => {
  const { front, tab } = await withHost((front) => {
    front.sessions = [{ id: 'zzzzzzzz2222', target: onHost, opened: 0, left: 600 }];
  });
  await tab.page.getByRole('dialog').getByText('your passkey is needed for each view of it').waitFor();
  await tab.page.keyboard.press('Escape');
  await tab.page.getByText('ends in 10 minutes').waitFor();
  await tab.page.getByRole('button', { name: /ops@.host\s?opened/ }).click();
  front.refusal = 'passkey-of-another';
  await tab.page.getByRole('button', { name: 'Use my passkey' }).click();
  await tab.panelSays(/not one of the account that you are signed in to/);
  await tab.screenshot('page-host-refused');
  front.refusal = undefined;
  await tab.page.getByRole('button', { name: 'Try again' }).click();
  await tab.page.getByRole('button', { name: 'Use my passkey' }).click();
  await tab.shell();
  assert.deepEqual(front.heard.find((message) => message.type === 'touch')?.['view'], { attach: { session: 'zzzzzzzz2222' } });
  tab.assertNoErrors();
});

test('a passkey that gives no answer opens nothing, and can be tried again', minute, async () => {
  const { front, tab } = await withHost((front) => (front.terms = {}));
  const target = tab.page.getByRole('button', { name: /^ops@.host/ });
  // The passkey is registered by then.
  await target.waitFor();
  await tab.setUserVerified(false);
  await target.click();
  await tab.page.getByRole('button', { name: 'Use my passkey' }).click();
  await tab.panelSays(/No passkey was used/);
  assert.deepEqual(front.heard.filter((message) => message.type === 'touch'), []);
  await tab.setUserVerified(true);
  await tab.page.getByRole('button', { name: 'Try again' }).click();
  await tab.page.getByRole('button', { name: 'Use my passkey' }).click();
  await tab.shell();
});

for (const refusal of ['worker-unavailable', 'version-mismatch']) {
  test(`a shell that cannot be viewed again right now (${refusal}) is not forgotten for a new one`, minute, async () => {
    const { front, tab } = await signedIn();
    await tab.shell();
    front.print(1, 'kept');
    await tab.sees(/kept$/);
    await front.drop();
    await tab.panelSays(/The server is back/);
    front.sessions = [{ id: 'abcdefgh2345', target: web1, opened: 0 }];
    front.refusal = refusal;
    await tab.page.getByRole('button', { name: 'Sign in again' }).click();
    await tab.panelSays(/Try again in a moment/);
    await tab.sees(/kept$/);
    front.refusal = undefined;
    await tab.page.getByRole('button', { name: 'Try again' }).click();
    await tab.shell();
    const asked = front.heard.filter((message) => message.type === 'open' || message.type === 'attach');
    assert.deepEqual(asked.map((message) => [message.type, message['session']]), [
      ['open', undefined],
      ['attach', 'abcdefgh2345'],
      ['attach', 'abcdefgh2345'],
    ]);
    tab.assertNoErrors();
  });
}

test('a shell that is not there any more is not tried again', minute, async () => {
  const { front, tab } = await signedIn((front) => {
    front.sessions = [{ id: 'aaaaaaaa2222', target: web1, opened: 0 }];
    front.refusal = 'no-such-session';
  });
  await tab.panelSays(/There is no such session of yours/);
  front.refusal = undefined;
  await tab.page.getByRole('button', { name: 'New shell' }).click();
  await tab.shell();
  assert.ok(front.heard.some((message) => message.type === 'open'));
  tab.assertNoErrors();
});

test('the terminal answers no program, not even what is in the clipboard', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.print(1, '\x1b[c\x1b[>c\x1b[6n\x1b[?6n\x1b[5n\x1b[?2004$p\x1b[18t\x1b[14t\x1b[>q\x1bP$qm\x1b\\');
  front.print(1, '\x1b]10;?\x07\x1b]11;?\x07\x1b]4;1;?\x07\x1b]52;c;aGFja2Vk\x07\x1b]52;c;?\x07\x1b[?1004hdone');
  await tab.sees(/done$/);
  assert.equal(front.typed, '');
  // User input is still sent.
  front.print(1, '\x1b[?1000h\x1b[?1006h, mouse');
  await tab.sees(/mouse$/);
  await tab.page.mouse.click(300, 300);
  await tab.page.keyboard.type('é');
  await front.typedAll(/^(\x1b\[[IO])*\x1b\[<0;\d+;\d+M\x1b\[<0;\d+;\d+m\xc3\xa9$/);
  tab.assertNoErrors();
});

test('a program copies to the clipboard once the user lets those of its machine', minute, async () => {
  const { front, tab } = await signedIn((front) => (front.targets = two));
  await tab.page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: ORIGIN });
  const clipboard = () => tab.page.evaluate(() => navigator.clipboard.readText());
  const copied = async (/** @type {string} */ text, /** @type {string} */ shown) => {
    const bytes = Buffer.byteLength(text);
    await tab.page.getByText(`A program copied ${bytes} bytes to your clipboard: “${shown}”`).waitFor();
    assert.equal(await clipboard(), text);
  };
  const stream = () => Number(front.heard.filter((message) => message.type === 'open').at(-1)?.['stream'] ?? 1);
  const copies = (/** @type {string} */ text) => front.print(stream(), `\x1b]52;c;${Buffer.from(text).toString('base64')}\x07`);
  await tab.page.locator('#lobby-targets li').nth(0).waitFor();
  await tab.page.evaluate(() => navigator.clipboard.writeText('mine'));
  await tab.page.getByRole('button', { name: /^dev@web1/ }).first().click();
  await tab.shell();

  // The question does not take the keys that are meant for the shell.
  copies('rm -rf \u202e/\n');
  const asked = tab.page.locator('.notice[data-kind=copy]');
  await asked.getByText('Let programs in web1 copy to your clipboard? Now: “rm -rf /”').waitFor();
  await tab.screenshot('page-copy');
  await tab.page.keyboard.type('x');
  await tab.page.keyboard.press('Enter');
  await front.typedAll(/^x\r$/);
  assert.equal(await clipboard(), 'mine');
  await asked.getByRole('button', { name: 'Allow' }).click();
  await copied('rm -rf \u202e/\n', 'rm -rf /');

  // From now on without a question, and the last of several.
  for (let number = 0; number <= 20; number += 1) copies(`text ${number}`);
  await copied('text 20', 'text 20');
  assert.equal(await asked.count(), 0);
  // Also after a reload, and not for another machine.
  await tab.page.reload();
  await tab.pressSignIn();
  await tab.shell();
  copies('after a reload');
  await copied('after a reload', 'after a reload');
  await tab.page.getByRole('button', { name: 'Shells' }).click();
  await tab.page.getByRole('button', { name: /^alice@alice-box/ }).first().click();
  await tab.shell();
  copies('hacked');
  await asked.getByText('Let programs in alice-box copy').waitFor();
  await asked.getByRole('button', { name: 'Never' }).click();
  await asked.waitFor({ state: 'detached' });
  assert.equal(await clipboard(), 'after a reload');
  // Whoever thinks better of it is asked again.
  copies('think again');
  const blocked = tab.page.getByRole('button', { name: 'Copy blocked' });
  await blocked.waitFor();
  await tab.screenshot('page-copy-blocked');
  assert.equal(await asked.count(), 0);
  await blocked.click();
  await asked.getByRole('button', { name: 'Allow' }).click();
  await copied('think again', 'think again');
  await blocked.waitFor({ state: 'hidden' });
  assert.equal(front.typed, 'x\r');
  tab.assertNoErrors();
});

test('what was not typed is said, with the amount', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.say({ type: 'input-dropped', stream: 1, bytes: 812 });
  await tab.page.getByText('812 bytes of what you typed did not reach the program').waitFor();
  await tab.screenshot('page-notices');
  tab.assertNoErrors();
});

test('a snapshot replaces the screen, at the size of the session', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.print(1, 'of the first');
  front.snapshot(1, { cols: 100, rows: 30 }, '\x1bcthe second', 'whole');
  await tab.sees(/^the second$/);
  // A session that is larger than the window is shown in a smaller font.
  const fits = () => tab.page.evaluate(() => {
    const [screen, place] = ['.xterm-screen', '#screen'].map((name) => document.querySelector(name)?.getBoundingClientRect());
    return screen && place && screen.width <= place.width && screen.height <= place.height;
  });
  front.snapshot(1, { cols: 300, rows: 100 }, '\x1bcthe third', 'whole');
  await tab.sees(/^the third$/);
  await tab.page.waitForFunction(() => (document.querySelector('.xterm-rows > div')?.getBoundingClientRect().height ?? 99) < 12);
  assert.ok(await fits());
  await tab.screenshot('page-letterbox');
  assert.ok(!front.heard.some((message) => message.type === 'resize'), 'the window has not changed');
  tab.assertNoErrors();
});

test('whoever comes back from the phone has the size of their window again', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  const window = front.heard.find((message) => message.type === 'open')?.['size'];
  const onThePhone = { type: 'size', stream: 1, size: { cols: 40, rows: 50 } };
  const claims = () => front.heard.filter((message) => message.type === 'resize').map((message) => message['size']);
  front.say(onThePhone);
  front.print(1, 'one');
  await tab.sees(/one$/);
  assert.deepEqual(claims(), [], 'nobody is at this window');
  await tab.page.keyboard.type('xy');
  await front.typedAll(/^xy$/);
  assert.deepEqual(claims(), [window]);
  front.say(onThePhone);
  front.print(1, 'two');
  await tab.sees(/two$/);
  await tab.page.evaluate(() => dispatchEvent(new Event('focus')));
  await tab.page.waitForFunction((rows) => document.querySelectorAll('.xterm-rows > div').length === rows, window.rows);
  assert.deepEqual(claims(), [window, window]);
  const participants = [{ account: 'carol', role: 'owner', views: 1 }, { account: 'alice', role: 'writer', views: 1 }];
  front.say({ type: 'sharing', session: 'abcdefgh2345', participants, role: 'writer', shareable: 'writer' });
  front.say(onThePhone);
  front.print(1, 'three');
  await tab.sees(/three$/);
  await tab.page.keyboard.type('z');
  await front.typedAll(/z$/);
  assert.deepEqual(claims(), [window, window], 'the size is its owner\'s');
  tab.assertNoErrors();
});

test('the server hears in which colours the terminal is shown, by night and by day', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  const told = () => front.heard.filter((message) => message.type === 'theme').map((message) => message['theme']);
  const shown = () => tab.page.evaluate(() => getComputedStyle(document.querySelector('.xterm-rows') ?? document.body).color);
  const hex = (/** @type {string} */ rgb) => '#' + (rgb.match(/\d+/g) ?? []).map((part) => Number(part).toString(16).padStart(2, '0')).join('');
  assert.equal(told().length, 1);
  assert.equal(told()[0].foreground, hex(await shown()));
  assert.equal(told()[0].palette.length, 16);
  await tab.page.emulateMedia({ colorScheme: 'light' });
  await front.hears('theme', 2);
  assert.equal(told()[1].foreground, hex(await shown()));
  assert.notEqual(told()[1].background, told()[0].background);
  tab.assertNoErrors();
});

test('a scrollback with a gap is asked for when somebody looks at it', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.print(1, `\x1b[H\x1b[2J${'line\r\n'.repeat(200)}`);
  await tab.sees(/line$/);
  front.snapshot(1, { cols: 80, rows: 24 }, '\x1b[H\x1b[2Jnow', 'screen');
  await tab.sees(/^now$/m);
  assert.ok(!front.heard.some((message) => message.type === 'refresh'));
  await tab.page.mouse.move(300, 300);
  await tab.page.mouse.wheel(0, -400);
  await front.hears('refresh');
  tab.assertNoErrors();
});

test('while a program prints on, its whole scrollback is asked for once, and again when it is quiet', minute, async () => {
  const { front, tab } = await atSignIn();
  await tab.page.clock.install();
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.pressSignIn();
  await tab.shell();
  const refreshes = () => front.heard.filter((message) => message.type === 'refresh').length;
  const many = 'line\r\n'.repeat(200);
  front.print(1, many);
  await tab.sees(/line$/);
  await tab.page.mouse.move(300, 300);
  await tab.page.mouse.wheel(0, -400);
  await tab.page.clock.runFor(100);
  for (let times = 0; times < 5; times += 1) {
    front.snapshot(1, { cols: 80, rows: 24 }, '\x1b[H\x1b[2Jnow', 'screen');
    await tab.page.clock.runFor(300);
    assert.equal(refreshes(), 1);
    front.snapshot(1, { cols: 80, rows: 24 }, `${many}whole`, 'whole');
    await tab.page.clock.runFor(300);
  }
  front.snapshot(1, { cols: 80, rows: 24 }, '\x1b[H\x1b[2Jnow', 'screen');
  await tab.page.clock.runFor(900);
  assert.equal(refreshes(), 1);
  await tab.page.clock.runFor(300);
  await tab.page.evaluate(() => undefined);
  assert.equal(refreshes(), 2);
  tab.assertNoErrors();
});

test('nothing is typed into a shell whose screen is not there yet, and the old screen stays until it is', minute, async () => {
  const { front, tab } = await signedIn((front) => (front.prompt = false));
  await front.hears('open');
  await tab.page.waitForFunction(() => document.activeElement?.closest('#screen'));
  await tab.page.keyboard.type('ab');
  await tab.panelSays(/Opening dev@web1.*Not sent: 2 keystrokes\./s);
  assert.equal(await tab.page.locator('#bar').getAttribute('data-state'), 'opening');
  front.snapshot(1, { cols: 80, rows: 24 }, '\x1b[?2004h$ ', 'whole');
  await tab.shell();
  await tab.page.getByText('The shell was not there to take what you typed. Not sent: 2 keystrokes.').waitFor();
  await tab.page.keyboard.type('c');
  await front.typedAll(/^c$/);

  front.sessions = [{ id: 'abcdefgh2345', target: web1, opened: 0 }];
  await front.drop();
  await tab.panelSays(/The server is back/);
  await tab.page.keyboard.type('d');
  await tab.page.getByRole('button', { name: 'Sign in again' }).click();
  await front.hears('attach');
  await tab.paste('one\ntwo\n');
  await tab.panelSays(/Opening dev@web1.*Not sent: 21 bytes\./s);
  assert.match(await tab.screen(), /^\$$/m, 'the screen of before is still there');
  front.snapshot(1, { cols: 80, rows: 24 }, '\x1b[?2004h$ ', 'whole');
  await tab.shell();
  await tab.paste('one\ntwo\n');
  await front.typedAll(/^c\x1b\[200~one\rtwo\r\x1b\[201~$/);
  tab.assertNoErrors();
});

test('a long paste goes out in frames that the front takes', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  await tab.paste(`${'é'.repeat(50_000)}\n`);
  await tab.panelSays(/Paste a line of 100\.0 kB/);
  await tab.answer();
  await front.typedAll(/^(?:\xc3\xa9){50000}\r$/);
  assert.ok(front.frames.length > 3 && front.frames.every((length) => length <= 32 * 1024 + 7));
  tab.assertNoErrors();
});

test('a front that gives no sign of life counts as lost', minute, async () => {
  const { front, tab } = await atSignIn();
  await tab.page.clock.install();
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.pressSignIn();
  await tab.shell();
  assert.equal(await tab.page.locator('#bar').getAttribute('data-state'), 'live');
  front.alive = false;
  await tab.page.clock.runFor(41_000);
  await tab.panelSays(/Connection lost|The server is back/);
  tab.assertNoErrors();
});

test('somebody else at the same page does not see the screen of the one before', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.print(1, 'secret of alice');
  await tab.sees(/secret of alice/);
  await front.drop();
  await tab.panelSays(/The server is back/);
  front.account = 'bob';
  front.targets = two;
  await tab.answer();
  await tab.page.getByText('Signed in as bob.').waitFor();
  await tab.page.locator('.choice').first().click();
  await tab.shell();
  assert.doesNotMatch(await tab.screen(), /secret/);
  tab.assertNoErrors();
});

test('a shell that ended meanwhile is said to have ended', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.print(1, 'last words');
  await tab.sees(/last words/);
  await front.drop();
  await tab.panelSays(/The server is back/);
  await tab.page.getByRole('button', { name: 'Sign in again' }).click();
  await tab.panelSays(/The shell ended while you were away/);
  await tab.sees(/last words/);
  await tab.answer();
  await tab.shell();
  tab.assertNoErrors();
});

test('a shell that was over before the loss still is: its last screen stays, and nothing is opened', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.print(1, 'last words');
  await tab.sees(/last words/);
  front.say({ type: 'closed', stream: 1, reason: 'machine-gone' });
  await tab.panelSays(/The machine went away/);
  await front.drop();
  await tab.panelSays(/Connection lost.*The machine went away|The server is back/s);
  await tab.panelSays(/The server is back/);
  await tab.page.getByRole('button', { name: 'Sign in again' }).click();
  await tab.panelSays(/^\s*The machine went away/);
  await tab.sees(/last words/);
  assert.equal(front.heard.filter((message) => message.type === 'open').length, 1);
  await tab.page.getByRole('button', { name: 'New shell' }).click();
  await tab.shell();
  tab.assertNoErrors();
});

test('a front that does not understand the page asks for a fresh one, and a worker that is upgraded does not', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.sessions = [{ id: 'abcdefgh2345', target: web1, opened: 0 }];
  front.say({ type: 'refused', stream: 1, refusal: 'version-mismatch' });
  await tab.panelSays(/A part of tere was upgraded and another was not\. Try again in a moment/);
  await tab.page.getByRole('button', { name: 'Try again' }).click();
  await tab.shell();
  front.say({ type: 'refused', stream: null, refusal: 'bad-message' });
  await tab.panelSays(/did not understand each other\. Reload the page\./);
  await tab.page.getByRole('button', { name: 'Reload' }).click();
  await tab.page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
  tab.assertNoErrors();
});

test('a view that broke off is tried again, and its session not given up', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.sessions = [{ id: 'abcdefgh2345', target: web1, opened: 0 }];
  front.say({ type: 'closed', stream: 1, reason: 'view-lost' });
  await tab.panelSays(/broke off, but the shell goes on/);
  assert.equal(await tab.page.title(), 'not open · dev@web1 · tere');
  await tab.page.getByRole('button', { name: 'Try again' }).click();
  await tab.shell();
  assert.equal(front.heard.find((message) => message.type === 'attach')?.['session'], 'abcdefgh2345');
  tab.assertNoErrors();
});

test('a machine that went away is the reason, whether it is heard before the end or after', minute, async () => {
  const { front, tab } = await signedIn();
  const ended = { type: 'closed', reason: 'shell-ended' };
  const stopped = { type: 'machine-stopped', machine: 'web1', why: null };
  await tab.shell();
  front.say({ ...ended, stream: 1 });
  await tab.panelSays(/The shell has ended/);
  front.say({ ...stopped, machine: 'another' });
  front.say(stopped);
  await tab.panelSays(/The machine went away/);
  await tab.answer();
  await tab.shell();
  front.say(stopped);
  front.say({ ...ended, stream: 2 });
  await tab.panelSays(/The machine went away/);
  await tab.answer();
  await tab.shell();
  front.say({ ...ended, stream: 3 });
  await tab.panelSays(/The shell has ended/);
  tab.assertNoErrors();
});

test('links lead to the web only, and show where before the click', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.print(1, '\x1b[2J\x1b[H\x1b]8;;https://example.org/real\x07click\x1b]8;;\x07\r\n\x1b]8;;javascript:alert(1)\x07never\x1b]8;;\x07');
  await tab.sees(/never/);
  const place = await tab.page.locator('.xterm-rows > div').first().boundingBox();
  assert.ok(place);
  await tab.page.mouse.move(place.x + 80, place.y + 60);
  await tab.page.mouse.move(place.x + 10, place.y + 8, { steps: 4 });
  await tab.page.locator('#link-address:visible').filter({ hasText: 'https://example.org/real' }).waitFor();
  await tab.page.context().route('https://example.org/**', (route) => route.fulfill({ body: 'elsewhere' }));
  const popup = tab.page.context().waitForEvent('page');
  await tab.page.mouse.click(place.x + 10, place.y + 8);
  const opened = await popup;
  await opened.waitForURL('https://example.org/real');
  assert.equal(await opened.evaluate(() => globalThis.opener), null);
  await opened.close();
  tab.assertNoErrors();
});

test('a line of a snapshot that takes two rows is copied as one line, and its address is one link', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: ORIGIN });
  await tab.shell();
  const digits = '0123456789'.repeat(6);
  const address = `https://example.org/${digits}${digits}`;
  // As written by src/terminal: see its tests/emulation.rs.
  const painted = `\x1b[1;1Hhttps://example.org/${digits} \r${digits}\x1b[1;1H\x1b[>80w`;
  front.snapshot(1, { cols: 80, rows: 24 }, `\x1bc${painted}\x1b[3;1Hdone`, 'whole');
  await tab.sees(/done/);
  const [first, second] = [0, 1].map((row) => tab.page.locator('.xterm-rows > div').nth(row).boundingBox());
  const [above, below] = [await first, await second];
  assert.ok(above && below);
  await tab.page.mouse.move(below.x + 20, below.y + 100);
  await tab.page.mouse.move(below.x + 20, below.y + 8, { steps: 4 });
  await tab.page.locator('#link-address:visible').filter({ hasText: address }).waitFor();
  await tab.page.mouse.move(above.x + 1, above.y + 8);
  await tab.page.mouse.down();
  await tab.page.mouse.move(below.x + below.width - 2, below.y + 8, { steps: 4 });
  await tab.page.mouse.up();
  await tab.page.keyboard.press('Control+Shift+C');
  await copied(tab, address);
  tab.assertNoErrors();
});

test('a graphics card draws the terminal, and when it is lost nothing on the screen is', minute, async () => {
  const person = await newPerson(browser);
  await person.addInitScript(() => {
    const UNMASKED_RENDERER = 0x9246;
    const real = WebGL2RenderingContext.prototype.getParameter;
    WebGL2RenderingContext.prototype.getParameter = function (name) {
      return name === UNMASKED_RENDERER ? 'a card' : real.call(this, name);
    };
  });
  const front = await Front.serve(person);
  const tab = await Tab.open(person);
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.pressSignIn();
  await tab.page.locator('#screen canvas').first().waitFor({ state: 'attached' });
  front.print(1, '\r\n\x1b[32mgreen\x1b[0m \u4f60\u597d done');
  await tab.page.evaluate(() => {
    for (const canvas of document.querySelectorAll('canvas')) {
      canvas.getContext('webgl2')?.getExtension('WEBGL_lose_context')?.loseContext();
    }
  });
  await tab.sees(/green \u4f60\u597d done/);
  tab.assertNoErrors();
});

/** A shell on a phone. */
async function onThePhone() {
  const person = await browser.newContext({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
  await person.addInitScript(() => {
    globalThis.tereScreen = () => document.querySelector('.xterm-rows')?.textContent?.trimEnd() ?? '';
  });
  const front = await Front.serve(person);
  const tab = await Tab.open(person);
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.page.tap('#sign-in-button');
  await tab.shell();
  return { front, tab };
}

test('on a phone there are the keys that its keyboard lacks', minute, async () => {
  const { front, tab } = await onThePhone();
  const control = tab.page.getByRole('button', { name: 'Control, for the next key' });
  await control.tap();
  await tab.page.keyboard.type('c');
  await tab.page.getByRole('button', { name: 'Up' }).tap();
  await control.tap();
  await tab.page.getByRole('button', { name: 'Right' }).tap();
  await tab.page.keyboard.type('d');
  await tab.page.getByRole('button', { name: 'Escape' }).tap();
  // A key without a control character is sent unchanged, and Ctrl does not apply to the key after
  // it.
  await control.tap();
  await tab.page.keyboard.type('\u00e9c');
  await front.typedAll(/^\x03\x1b\[A\x1b\[1;5Cd\x1b\xc3\xa9c$/);
  assert.equal(await control.getAttribute('aria-pressed'), 'false');
  await tab.screenshot('page-phone');
  front.print(1, '\x1b[>1uencoded');
  await tab.sees(/encoded$/);
  await tab.page.getByRole('button', { name: 'Escape' }).tap();
  await front.typedAll(/c\x1b\[27u$/);
  tab.assertNoErrors();
});

test('a finger scrolls the terminal, turns the wheel of a program, and finds what it is to press', minute, async () => {
  const { front, tab } = await onThePhone();
  /** @param {number} from @param {number} to */
  const drag = async (from, to) => {
    const at = (/** @type {number} */ y) => ({ touchPoints: [{ x: 200, y }] });
    await tab.devtools.send('Input.dispatchTouchEvent', { type: 'touchStart', ...at(from) });
    for (let step = 1; step <= 5; step += 1) {
      await tab.devtools.send('Input.dispatchTouchEvent', { type: 'touchMove', ...at(from + ((to - from) * step) / 5) });
    }
    await tab.devtools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  };
  front.print(1, Array.from({ length: 300 }, (_, line) => `\r\nline ${line}`).join(''));
  await tab.sees(/line 299$/);
  await drag(200, 600);
  await tab.sees(/line 2[0-7]\d$/);
  await drag(600, 100);
  await tab.sees(/line 299$/);
  assert.equal(front.typed, '');
  front.print(1, '\x1b[?1049h\x1b[2J\x1b[Hless');
  await tab.sees(/^less$/);
  await drag(200, 300);
  await front.typedAll(/^(\x1b\[A){4,7}$/);

  const small = await tab.page.locator('button:visible:not(#bar-reader)').evaluateAll((buttons) =>
    buttons.map((one) => one.getBoundingClientRect()).filter((box) => box.width < 40 || box.height < 40).length,
  );
  assert.equal(small, 0, 'a finger needs 40 pixels');
  // Zooming in shows less of the page, and the terminal keeps its size.
  const resizes = () => front.heard.filter((message) => message.type === 'resize').length;
  const before = resizes();
  await tab.devtools.send('Emulation.setPageScaleFactor', { pageScaleFactor: 2 });
  await tab.page.waitForFunction(() => visualViewport?.scale === 2);
  await tab.page.evaluate(async () => {
    for (let pictures = 0; pictures < 3; pictures += 1) await new Promise(requestAnimationFrame);
  });
  assert.equal(resizes(), before);
  tab.assertNoErrors();
});

test('the last row and the last column are whole, whatever the height of the window', minute, async () => {
  const { tab } = await signedIn();
  await tab.shell();
  for (let height = 400; height < 420; height += 1) {
    await tab.page.setViewportSize({ width: 700 + height, height });
    const over = await tab.page.evaluate(async () => {
      // The terminal is fitted one frame after the frame that knows the new size.
      for (let pictures = 0; pictures < 3; pictures += 1) await new Promise(requestAnimationFrame);
      const [screen, place] = ['.xterm-screen', '#screen'].map((name) => document.querySelector(name)?.getBoundingClientRect());
      return screen && place && Math.max(screen.bottom - place.bottom, screen.right - place.right);
    });
    assert.ok(over !== undefined && over <= 0, `at ${height} px, ${over} px of the terminal are cut off`);
  }
  tab.assertNoErrors();
});

test('a session that is too large for the smallest letters can be scrolled', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.snapshot(1, { cols: 500, rows: 200 }, '\x1b[200;490Hcorner', 'whole');
  await tab.sees(/corner$/);
  await tab.page.locator('#screen[data-cut]').waitFor();
  const seen = await tab.page.evaluate(() => {
    const [screen, place] = ['.xterm-screen', '#screen'].map((name) => document.querySelector(name));
    place?.scrollTo(10_000, 10_000);
    const [inner, outer] = [screen, place].map((one) => one?.getBoundingClientRect());
    return inner && outer && inner.right <= outer.right && inner.bottom <= outer.bottom;
  });
  assert.ok(seen);
  await tab.screenshot('page-cut');
  assert.ok(!front.heard.some((message) => message.type === 'resize'), 'scroll bars are no other window');
  tab.assertNoErrors();
});

test('a panel hides nothing: the last line stays in view, and nobody is told of another size', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.print(1, `${'line\r\n'.repeat(60)}killed: no space left`);
  await tab.sees(/no space left$/);
  const { rows } = front.heard.find((message) => message.type === 'open')?.['size'];
  front.say({ type: 'closed', stream: 1, reason: 'shell-ended' });
  await tab.panelSays(/The shell has ended/);
  const gap = () =>
    tab.page.evaluate(() => {
      const last = [...document.querySelectorAll('.xterm-rows > div')].findLast((row) => row.textContent?.trim());
      const [row, panel, bar] = [last, document.querySelector('#panel'), document.querySelector('#bar')].map((one) =>
        one?.getBoundingClientRect(),
      );
      return row && panel && bar && { above: panel.top - row.bottom, below: row.top - bar.bottom };
    });
  await tab.page.waitForFunction(() => (document.querySelector('#screen')?.scrollTop ?? 0) > 0);
  const ended = await gap();
  assert.ok(ended && ended.above >= 0 && ended.below > 0, JSON.stringify(ended));
  await tab.screenshot('page-ended-full');
  assert.equal(await tab.page.locator('.xterm-rows > div').count(), rows);
  // The same holds when the user comes back to the shell.
  await tab.page.keyboard.press('Control+Shift+L');
  await tab.page.getByRole('button', { name: 'Back' }).click();
  await tab.page.evaluate(async () => {
    for (let pictures = 0; pictures < 3; pictures += 1) await new Promise(requestAnimationFrame);
  });
  await tab.page.getByRole('button', { name: 'New shell' }).click();
  await tab.shell();
  const sizes = front.heard.filter((message) => 'size' in message).map((message) => message['size'].rows);
  assert.deepEqual(sizes, [rows, rows], 'the window has not changed');
  assert.equal(await tab.page.evaluate(() => document.querySelector('#screen')?.scrollTop), 0);

  // A screen with little on it is not scrolled.
  front.say({ type: 'closed', stream: 2, reason: 'shell-ended' });
  await tab.panelSays(/The shell has ended/);
  assert.equal(await tab.page.evaluate(() => document.querySelector('#screen')?.scrollTop), 0);
  tab.assertNoErrors();
});

test('whoever types on when a shell ends does not open another one', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  const opens = () => front.heard.filter((message) => message.type === 'open').length;
  front.say({ type: 'closed', stream: 1, reason: 'shell-ended' });
  await tab.panelSays(/The shell has ended/);
  assert.ok(await tab.page.evaluate(() => document.activeElement?.closest('#screen') !== null), 'the keyboard stays');
  await tab.run('ls -l');
  await tab.page.keyboard.press('Space');
  await tab.panelSays(/Not sent: 6 keystrokes/);
  assert.equal(opens(), 1);
  // The same holds while the button has the focus.
  await tab.page.keyboard.press('Tab');
  await tab.page.keyboard.press('Space');
  await tab.page.keyboard.press('Enter');
  assert.ok(await tab.page.evaluate(() => document.activeElement?.closest('#panel') !== null), 'it can be reached by Tab');
  assert.equal(opens(), 1);
  await tab.answer();
  await tab.shell();
  assert.equal(opens(), 2);
  tab.assertNoErrors();
});

test('whoever types into a dead connection hears of it within seconds, and what may not have arrived', minute, async () => {
  const { front, tab } = await atSignIn();
  await tab.page.clock.install();
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.pressSignIn();
  await tab.shell();
  front.alive = false;
  await tab.page.clock.runFor(3000);
  await tab.page.keyboard.type('rm');
  await front.hears('ping');
  await tab.page.clock.runFor(1100);
  await tab.page.locator('#bar[data-state=unresponsive]').getByText('The server does not answer').waitFor();
  await tab.screenshot('page-unresponsive');
  front.alive = true;
  front.say({ type: 'pong' });
  await tab.page.locator('#bar[data-state=live]').waitFor();
  front.alive = false;
  await tab.page.clock.runFor(3000);
  await tab.page.keyboard.type('ls');
  await tab.page.clock.runFor(8100);
  await tab.page.keyboard.type('x');
  await tab.panelSays(/Not sent: 1 keystroke\. Sent, but perhaps not arrived: 2 keystrokes\./);
  tab.assertNoErrors();
});

test('only a plain click opens a link, and what is shown is what opens', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  // A look-alike letter is recognizable in the address shown, which is in Punycode.
  front.print(1, '\x1b[2J\x1b[H\x1b]8;;https://ex\u0430mple.org/real\x07click here\x1b]8;;\x07\r\ndone');
  await tab.sees(/done/);
  const place = await tab.page.locator('.xterm-rows > div').first().boundingBox();
  assert.ok(place);
  const [x, y] = [place.x + 20, place.y + 8];
  await tab.page.mouse.move(x, y + 60);
  await tab.page.mouse.move(x, y, { steps: 4 });
  await tab.page.locator('#link-address:visible').filter({ hasText: 'https://xn--exmple-4nf.org/real' }).waitFor();
  await tab.page.evaluate(() => {
    Object.assign(globalThis, { opened: [], open: (/** @type {string} */ url) => void globalThis.opened.push(url) });
  });
  const opened = () => tab.page.evaluate(() => globalThis.opened);
  await tab.page.mouse.click(x, y, { button: 'middle' });
  await tab.page.mouse.click(x, y, { button: 'right' });
  await tab.page.mouse.down();
  await tab.page.mouse.move(x + 40, y, { steps: 4 });
  await tab.page.mouse.up();
  assert.deepEqual(await opened(), []);
  await tab.page.mouse.dblclick(x, y);
  assert.deepEqual(await opened(), ['https://xn--exmple-4nf.org/real'], 'twice is once');
  // A program that takes the mouse leaves no text selected.
  front.print(1, '\x1b[?1000h\r\nmouse');
  await tab.sees(/mouse$/);
  await tab.page.mouse.dblclick(x, y);
  assert.equal((await opened()).length, 2);
  tab.assertNoErrors();
});

test('Ctrl-W asks before it closes the tab of a shell, and other ways do not', minute, async () => {
  const { tab } = await signedIn();
  await tab.shell();
  await tab.page.keyboard.type('word');
  await tab.page.keyboard.down('Control');
  const asked = tab.page.waitForEvent('dialog');
  await tab.page.close({ runBeforeUnload: true });
  const dialog = await asked;
  assert.equal(dialog.type(), 'beforeunload');
  await dialog.dismiss();
  await tab.page.keyboard.up('Control');
  assert.equal(await tab.page.locator('#bar').getAttribute('data-state'), 'live');
  // A second question would be dismissed, and the tab would stay open.
  const closed = tab.page.waitForEvent('close');
  tab.page.on('dialog', (dialog) => dialog.dismiss());
  await tab.page.close({ runBeforeUnload: true });
  await closed;
});

test('in full screen the shell has all keys', minute, async () => {
  const { front, tab } = await atSignIn();
  await tab.page.addInitScript(() => {
    globalThis.opened = [];
    Object.assign(Reflect.get(navigator, 'keyboard'), {
      lock: async () => globalThis.opened.push('locked'),
      unlock: () => globalThis.opened.push('unlocked'),
    });
  });
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.pressSignIn();
  await tab.shell();
  const full = tab.page.getByRole('button', { name: 'Full screen' });
  await full.click();
  await tab.page.waitForFunction(() => document.fullscreenElement && globalThis.opened.length === 1);
  await tab.page.keyboard.press('Control+w');
  await front.typedAll(/^\x17$/);
  await full.click();
  await tab.page.waitForFunction(() => !document.fullscreenElement && globalThis.opened.length === 2);
  assert.deepEqual(await tab.page.evaluate(() => globalThis.opened), ['locked', 'unlocked']);
  tab.assertNoErrors();
});

test('several lines go to a program that would run each of them only when that is meant', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  await tab.paste('one\n');
  await front.typedAll(/^one\r$/);
  await tab.paste('two\nthree\n');
  await tab.panelSays(/Paste 2 lines\?/);
  await tab.screenshot('page-paste');
  await tab.page.keyboard.press('Escape');
  await tab.page.locator('#panel').waitFor({ state: 'hidden' });
  await tab.page.keyboard.type('x');
  await front.typedAll(/^one\rx$/);
  await tab.paste('two\nthree\n');
  await tab.panelSays(/Paste 2 lines\?/);
  await tab.answer();
  await front.typedAll(/^one\rxtwo\rthree\r$/);
  await tab.page.keyboard.type('y');
  await front.typedAll(/three\ry$/);
  tab.assertNoErrors();
});

test('a screen reader is served where somebody wants it, also the next time', minute, async () => {
  const { tab } = await signedIn();
  await tab.shell();
  const reader = tab.page.getByRole('button', { name: 'Screen reader' });
  await reader.focus();
  await tab.page.keyboard.press('Enter');
  await tab.page.locator('.xterm-accessibility').waitFor({ state: 'attached' });
  assert.equal(await reader.getAttribute('aria-pressed'), 'true');
  await tab.page.reload();
  await tab.pressSignIn();
  await tab.shell();
  await tab.page.locator('.xterm-accessibility').waitFor({ state: 'attached' });
  await reader.click();
  await tab.page.locator('.xterm-accessibility').waitFor({ state: 'detached' });
  tab.assertNoErrors();
});

test('what is not found is said', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  front.print(1, 'needle');
  await tab.sees(/needle$/);
  await tab.page.keyboard.press('Control+Shift+F');
  await tab.page.keyboard.type('haystack');
  await tab.page.keyboard.press('Enter');
  await tab.page.getByText('Not found').waitFor();
  await tab.page.locator('#find-text').fill('needle');
  await tab.page.keyboard.press('Enter');
  await tab.page.getByText('Not found').waitFor({ state: 'detached' });
  await tab.page.keyboard.press('Escape');
  await tab.page.waitForFunction(() => document.activeElement?.closest('#screen'));
  tab.assertNoErrors();
});

test('another tab shows what became of a shell, and a server that is not understood a fresh page', minute, async () => {
  const { front, tab } = await atSignIn();
  await tab.page.clock.install();
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.pressSignIn();
  await tab.shell();
  assert.equal(await tab.page.title(), 'dev@web1 · tere');
  await tab.page.evaluate(() => {
    class Refused {
      /** @type {(() => void) | null} */
      onclose = null;
      constructor() {
        // As a browser does if the answer is 400.
        setTimeout(() => this.onclose?.());
      }
      close() {}
    }
    Object.assign(globalThis, { WebSocket: Refused });
  });
  await front.drop();
  await tab.panelSays(/Connection lost/);
  assert.equal(await tab.page.title(), 'lost · dev@web1 · tere');
  assert.equal(await tab.page.getByRole('button', { name: 'Reload' }).count(), 0);
  for (let tries = 0; tries < 5; tries += 1) await tab.page.clock.runFor(8_000);
  await tab.page.getByRole('button', { name: 'Reload' }).waitFor();
  await tab.page.reload();
  await tab.pressSignIn();
  await tab.shell();
  front.say({ type: 'closed', stream: 1, reason: 'shell-ended' });
  await tab.panelSays(/The shell has ended/);
  assert.equal(await tab.page.title(), 'ended · dev@web1 · tere');
  tab.assertNoErrors();
});

test('one notch of the wheel is three lines in a program that fills the screen', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  await tab.page.hover('#screen');
  front.print(1, '\x1b[?1049h\x1b[Hless');
  await tab.sees(/^less/);
  await tab.page.mouse.wheel(0, 120);
  await front.typedAll(/^(\x1b\[B){3}$/);
  front.print(1, '\x1b[?1h\x1b[Hvim');
  await tab.sees(/^vims/);
  await tab.page.mouse.wheel(0, -120);
  await front.typedAll(/^(\x1b\[B){3}(\x1bOA){3}$/);
  tab.assertNoErrors();
});

test('Ctrl with a sign is its byte, though the layout has the sign elsewhere', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  const ctrl = 2;
  const shift = 8;
  for (const { key, code, keyCode, modifiers } of [
    { key: '/', code: 'Digit7', keyCode: 55, modifiers: ctrl | shift },
    { key: '_', code: 'Slash', keyCode: 189, modifiers: ctrl | shift },
    { key: ']', code: 'Digit9', keyCode: 57, modifiers: ctrl },
    { key: '\\', code: 'Minus', keyCode: 219, modifiers: ctrl },
  ]) {
    const event = { key, code, windowsVirtualKeyCode: keyCode, modifiers };
    await tab.devtools.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...event });
    await tab.devtools.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }
  await front.typedAll(/^\x1f\x1f\x1d\x1c$/);
  tab.assertNoErrors();
});

test('keys are told as the program asks, for as long as it asks', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  const { keyboard } = tab.page;
  let typed = '';
  const types = async (/** @type {string[]} */ keys, /** @type {string} */ more) => {
    for (const key of keys) await keyboard.press(key);
    typed += more;
    await front.typedAll(new RegExp(`^${typed.replace(/[[?+]/g, '\\$&')}$`));
  };
  const keys = ['Shift+Enter', 'Enter', 'Control+i', 'Tab', 'Escape', 'x'];
  await types(keys, '\r\r\t\t\x1bx');
  front.print(1, '\x1b[>1udisambiguated');
  await tab.sees(/disambiguated$/);
  await types([...keys, 'Control+/'], '\x1b[13;2u\r\x1b[105;5u\t\x1b[27ux\x1b[47;5u');
  // A release is told only where a program asks for it, and the other screen has flags of its own.
  front.print(1, '\x1b[?1049h\x1b[>3uwith releases');
  await tab.sees(/with releases$/);
  await types(['Escape', 'x'], '\x1b[27u\x1b[27;1:3ux');
  front.print(1, '\x1b[?1049lwithout');
  await tab.sees(/without$/);
  await types(['Escape'], '\x1b[27u');
  // A snapshot begins anew.
  front.snapshot(1, { cols: 80, rows: 24 }, '\x1bc\x1b[>4;2mother keys', 'whole');
  await tab.sees(/other keys$/);
  await types(['Shift+Enter', 'Control+i', 'Escape'], '\x1b[27;2;13~\x1b[27;5;105~\x1b');
  front.print(1, '\x1b[!pas ever');
  await tab.sees(/as ever$/);
  await types(keys, '\r\r\t\t\x1bx');
  tab.assertNoErrors();
});

test('a syllable of Hangul is typed once, whichever key ends it and whoever has that key', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  const key = (/** @type {string} */ type, /** @type {object} */ event) => tab.devtools.send('Input.dispatchKeyEvent', { type: /** @type {any} */ (type), ...event });
  const process = { key: 'Process', code: 'KeyG', windowsVirtualKeyCode: 229 };
  const compose = async (/** @type {string[]} */ ...texts) => {
    for (const text of texts) {
      await key('rawKeyDown', process);
      await tab.devtools.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length });
      // The page's timers run between two keystrokes of a person.
      await tab.page.evaluate(() => new Promise((done) => setTimeout(done)));
    }
  };
  const commit = (/** @type {string} */ text) => tab.devtools.send('Input.insertText', { text });
  const space = { key: ' ', code: 'Space', windowsVirtualKeyCode: 32 };
  const utf8 = (/** @type {string} */ text) => new RegExp(`^${Buffer.from(text).toString('latin1').replace('[', '\\[').replace('?', '\\?')}$`);

  // The input method handles the key first, and the page receives it once more afterwards.
  await compose('ㅎ', '하', '한');
  await key('rawKeyDown', { ...process, code: 'Space' });
  await commit('한');
  await key('keyDown', { ...space, text: ' ' });
  await front.typedAll(utf8('한 '));
  // The page receives the key first, and the input method ends the composition with it.
  await compose('ㄱ', '그', '글');
  await key('rawKeyDown', space);
  await commit('글');
  await key('char', { ...space, text: ' ' });
  await front.typedAll(utf8('한 글 '));
  await compose('ㅎ', '하', '한');
  await key('rawKeyDown', { key: 'ArrowLeft', code: 'ArrowLeft', windowsVirtualKeyCode: 37 });
  await commit('한');
  await key('keyDown', { key: 'x', code: 'KeyX', text: 'x', windowsVirtualKeyCode: 88 });
  await front.typedAll(utf8('한 글 한\x1b[Dx'));
  await compose('ㄱ', '그', '글');
  await key('rawKeyDown', { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13 });
  await commit('글');
  await key('keyDown', { key: 'y', code: 'KeyY', text: 'y', windowsVirtualKeyCode: 89 });
  await front.typedAll(utf8('한 글 한\x1b[Dx글\ry'));
  tab.assertNoErrors();
});

test('a file that is dropped on the page does not replace it', minute, async () => {
  const { tab } = await signedIn();
  await tab.shell();
  const refused = await tab.page.evaluate(() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(['text'], 'file.txt'));
    const places = [document.body, document.querySelector('#screen'), document.querySelector('#bar')];
    const isRefused = (/** @type {string} */ type) =>
      places.every((place) => place?.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true })) === false);
    return isRefused('dragover') && isRefused('drop');
  });
  assert.ok(refused, 'the browser would open the file');
  await tab.page.getByText('Files cannot be dropped here').waitFor();
  tab.assertNoErrors();
});

test('a long line for a program that reads lines is asked about', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  await tab.paste('a'.repeat(5000));
  await tab.panelSays(/Paste a line of 5\.0 kB\?.*the first 4,095 bytes/s);
  await tab.screenshot('page-long-line');
  await tab.answer();
  await front.typedAll(/^a{5000}$/);
  front.print(1, '\x1b[?2004h');
  await tab.page.evaluate(() => undefined);
  await tab.paste('b'.repeat(5000));
  await front.typedAll(/^a{5000}\x1b\[200~b{5000}\x1b\[201~$/);
  tab.assertNoErrors();
});

test('without a passkey the person hears what a security key must be able to do', minute, async () => {
  const { tab } = await atSignIn();
  // Browsers do not give the reason: the user has a security key that stores nothing.
  await tab.page.addInitScript(() => {
    navigator.credentials.create = () => Promise.reject(new DOMException('', 'NotAllowedError'));
  });
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.pressSignIn();
  await tab.signInSays(/No passkey was made.*A security key must have room for a passkey/);
});

test('a proxy that drops the header Upgrade is told apart from a server that is down', minute, async () => {
  const { front, tab } = await atSignIn((front) => (front.upgrades = false));
  await tab.page.goto(ORIGIN);
  await tab.pressSignIn();
  await tab.signInSays(/a proxy in front of it passes no WebSockets on/);
  front.status = 502;
  await tab.pressSignIn();
  await tab.signInSays(/The server does not answer/);
});

test('a terminal that a program left in disorder is reset, and nothing is typed', minute, async () => {
  const { tab, front } = await signedIn();
  await tab.shell();
  await tab.page.getByRole('button', { name: 'Reset' }).click();
  await front.hears('reset-terminal');
  assert.equal(front.heard.find((message) => message.type === 'reset-terminal')?.['stream'], 1);
  assert.equal(front.typed, '');
  await tab.page.waitForFunction(() => document.activeElement?.closest('#screen'));
  tab.assertNoErrors();
});

test('a shell that failed says how', minute, async () => {
  const { tab, front } = await signedIn();
  await tab.shell();
  front.say({ type: 'closed', stream: 1, reason: 'shell-ended', exit: { exited: 3 } });
  await tab.panelSays(/The shell has ended \(exit status 3\)\./);
  tab.assertNoErrors();
});

/** Opens the palette and types into it. @param {Tab} tab @param {string} text */
async function find(tab, text) {
  await tab.page.keyboard.press('Control+Shift+P');
  await tab.page.getByRole('combobox', { name: 'Actions and shells' }).waitFor();
  await tab.page.keyboard.type(text);
}

/** Opens the settings. @param {Tab} tab */
async function openSettings(tab) {
  await find(tab, 'settings');
  await tab.page.keyboard.press('Enter');
  const settings = tab.page.getByRole('dialog', { name: 'Settings' });
  await settings.waitFor();
  return settings;
}

/** Waits until the focus is in the terminal. @param {Tab} tab */
async function inTerminal(tab) {
  await tab.page.waitForFunction(() => document.activeElement?.closest('#screen'));
}

/** What the palette has selected. @param {Tab} tab */
async function selectedIn(tab) {
  const id = await tab.page.locator('#palette-text').getAttribute('aria-activedescendant');
  return id === null ? null : tab.page.locator(`#${id}[aria-selected=true] .name`).textContent();
}

test('the palette finds shells, machines and actions by what is typed, without a mouse', minute, async () => {
  const about = { title: 'vim \u202enotes', size: { cols: 80, rows: 24 }, idle: 90, viewers: 0 };
  const { front, tab } = await signedIn((front) => {
    front.targets = two;
    front.tasks = [{ user: 'dev', before: 'alice.', after: '' }];
    front.machines = [{ machine: 'alice-box', task: false, expires: null, outdated: false, checkpoints: [], allow: ['checkpoint'] }];
    front.sessions = [
      { id: 'aaaaaaaa2222', target: web1, opened: 0, name: 'the build', viewing: ['alice'] },
      { id: 'bbbbbbbb2222', target: web1, opened: 0, about, viewing: ['alice'] },
    ];
  });
  await tab.page.getByRole('heading', { name: 'Still running' }).waitFor();
  await find(tab, '');
  const options = tab.page.getByRole('option');
  assert.deepEqual(
    await tab.page.locator('#palette-list .name').allTextContents(),
    ['vim notes', 'the build', 'dev@web1', 'alice@alice-box', 'New machine for a task…', 'alice-box', 'Refresh the list', 'Full screen', 'Settings', 'Keys', 'Sign in a command line', 'Where you are signed in', 'Sign out'],
    'the last used comes first, a title loses what could make it say something else, and nothing needs a shell',
  );
  assert.equal(await selectedIn(tab), 'vim notes');
  await tab.page.keyboard.press('ArrowUp');
  assert.equal(await selectedIn(tab), 'Sign out', 'the list goes on at its other end');
  await tab.page.keyboard.press('ArrowDown');
  await tab.page.keyboard.press('ArrowDown');
  assert.equal(await selectedIn(tab), 'the build');
  await tab.screenshot('page-palette');
  // What is selected stays so while the list changes, and nothing takes its place when it is gone.
  front.sessions.push({ id: 'cccccccc2222', target: web1, opened: 9, about: { ...about, title: 'first now', idle: 0 }, viewing: ['alice'] });
  front.tellLobby();
  await options.filter({ hasText: 'first now' }).waitFor();
  assert.equal(await selectedIn(tab), 'the build');
  front.sessions.shift();
  front.tellLobby();
  await options.filter({ hasText: 'the build' }).waitFor({ state: 'detached' });
  assert.equal(await selectedIn(tab), null);
  await tab.page.keyboard.press('Enter');
  assert.ok(await tab.page.locator('#palette').isVisible(), 'Enter does nothing then');
  await tab.page.keyboard.type('no such thing');
  await tab.page.getByText('Nothing of that name.').waitFor();
  await tab.page.keyboard.press('Escape');
  assert.ok(!front.heard.some((message) => ['attach', 'open'].includes(message.type)));

  await find(tab, 'NOTES web1');
  assert.equal(await selectedIn(tab), 'vim notes');
  await tab.page.keyboard.press('Enter');
  await tab.shell();
  assert.equal(front.heard.find((message) => message.type === 'attach')?.['session'], 'bbbbbbbb2222');

  const lists = front.heard.filter((message) => message.type === 'list').length;
  await find(tab, 'reset');
  await front.hears('list', lists + 1);
  await tab.page.keyboard.press('Enter');
  await front.hears('reset-terminal');
  await inTerminal(tab);
  await find(tab, 'find');
  assert.equal(await options.locator('kbd').textContent(), 'Ctrl+Shift+F');
  await options.click();
  await tab.page.waitForFunction(() => document.activeElement?.id === 'find-text');
  await tab.page.keyboard.press('Escape');

  await find(tab, 'task');
  await tab.page.keyboard.press('Enter');
  await tab.page.waitForFunction(() => document.activeElement?.getAttribute('aria-label')?.startsWith('Name of a new machine'));
  await tab.page.keyboard.press('Escape');
  await tab.page.keyboard.press('Escape');
  await inTerminal(tab);
  await find(tab, 'copy it');
  await tab.page.keyboard.press('Enter');
  await tab.page.getByRole('button', { name: 'Keep a checkpoint' }).waitFor();
  await find(tab, 'alice@');
  await tab.page.keyboard.press('Enter');
  await front.hears('open');
  assert.deepEqual(front.heard.find((message) => message.type === 'open')?.['target'], two[1]);
  assert.equal(front.typed, '', 'nothing of it went to a shell');
  tab.assertNoErrors();
});

test('the palette copies and pastes, and pressing its key again closes it', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: ORIGIN });
  await tab.shell();
  await find(tab, 'copy');
  await tab.page.getByText('Nothing of that name.').waitFor();
  await tab.page.keyboard.press('Control+Shift+P');
  await inTerminal(tab);
  const word = await tab.page.locator('.xterm-rows > div').first().boundingBox();
  assert.ok(word);
  await tab.page.mouse.dblclick(word.x + 12, word.y + word.height / 2);
  await find(tab, 'copy');
  await tab.page.keyboard.press('Enter');
  await copied(tab, 'dev@web1');
  await find(tab, 'paste');
  await tab.page.keyboard.press('Enter');
  await front.typedAll(/^dev@web1$/);
  await tab.page.getByRole('button', { name: 'Actions' }).click();
  await tab.page.locator('#palette').waitFor();
  await tab.page.mouse.click(5, 300);
  await inTerminal(tab);
  tab.assertNoErrors();
});

test('? shows the keys in the list of shells, and is a sign in a shell and in a field', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  await tab.page.keyboard.type('?');
  await front.typedAll(/^\?$/);
  await tab.page.keyboard.press('Control+Shift+L');
  await tab.page.locator('#lobby').waitFor();
  await tab.page.keyboard.press('?');
  const keys = tab.page.getByRole('dialog', { name: 'Keys' });
  await keys.getByText('Ctrl+Shift+P').waitFor();
  const rows = await keys.locator('kbd').allTextContents();
  assert.deepEqual(rows, ['P', 'L', 'C', 'V', 'F', 'S'].map((letter) => `Ctrl+Shift+${letter}`).concat('?'));
  await tab.screenshot('page-keys');
  await tab.page.keyboard.press('Escape');
  await tab.page.getByRole('button', { name: 'Sign in a command line' }).click();
  await tab.page.keyboard.type('?');
  assert.equal(await tab.page.locator('#key-code').inputValue(), '?');
  tab.assertNoErrors();
});

test('a key of the page that is turned off goes to the program', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  // The program asks for the kitty keyboard protocol.
  front.print(1, '\x1b[>3u');
  await tab.page.keyboard.press('Control+Shift+C');
  await tab.page.keyboard.press('Control+Shift+F');
  await tab.page.keyboard.press('Escape');
  const settings = await openSettings(tab);
  await settings.getByLabel('Find in the terminal').uncheck();
  await settings.getByLabel('Your shells').uncheck();
  await tab.page.keyboard.press('Escape');
  await inTerminal(tab);
  assert.doesNotMatch(front.typed, /99|102|112/, 'a key of the page is not told, nor that it is released');
  await tab.page.keyboard.press('Control+Shift+F');
  await front.typedAll(/\x1b\[102;6u/);
  assert.ok(!(await tab.page.locator('#find').isVisible()));
  const shells = tab.page.getByRole('button', { name: 'Shells' });
  assert.equal(await shells.getAttribute('aria-keyshortcuts'), null);
  assert.equal(await shells.getAttribute('title'), 'Your shells');
  assert.equal(await tab.page.locator('#bar-actions').getAttribute('aria-keyshortcuts'), 'Control+Shift+P');
  await find(tab, 'find in');
  assert.equal(await tab.page.getByRole('option').locator('kbd').count(), 0);
  await tab.page.keyboard.press('Enter');
  await tab.page.locator('#find').waitFor();
  tab.assertNoErrors();
});

test('settings are seen at once, in other tabs too, and the next time', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  const other = await Tab.open(tab.page.context());
  await other.page.goto(ORIGIN);
  const theme = (/** @type {number} */ times) => front.hears('theme', times).then(() => front.heard.findLast((message) => message.type === 'theme')?.['theme']);
  const ground = (/** @type {Tab} */ { page }) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const size = () => front.heard.findLast((message) => message['size'])?.['size'];
  const before = size();
  const settings = await openSettings(tab);
  await settings.getByLabel('Size, in pixels').fill('20');
  await front.hears('resize');
  assert.ok(size().cols < before.cols && size().rows < before.rows, 'larger letters, fewer of them');
  await settings.getByLabel('Size, in pixels').fill('9999');
  await settings.getByLabel('Line height').fill('1.5');
  await settings.getByLabel('Cursor', { exact: true }).selectOption('Bar');
  await tab.page.locator('.xterm-cursor-bar, .xterm-cursor-outline').waitFor();
  await settings.getByLabel('Font').fill('DejaVu Serif"; } body { display: none');
  await settings.getByText('A name has letters, digits and spaces').waitFor();
  await settings.getByLabel('Font').fill('No Such Font');
  await settings.getByText('There is no No Such Font on this device.').waitFor();
  await settings.getByLabel('Font').fill('monospace');
  const shown = () => tab.page.evaluate(() => getComputedStyle(document.querySelector('.xterm-rows') ?? document.body));
  assert.equal((await shown()).fontSize, '20px');
  assert.match((await shown()).fontFamily, /^monospace, /);

  await settings.getByLabel('Theme', { exact: true }).selectOption('Solarized light');
  assert.deepEqual([(await theme(2)).background, (await theme(2)).palette[1]], ['#fdf6e3', '#dc322f']);
  assert.equal(await ground(tab), 'rgb(253, 246, 227)');
  assert.equal((await shown()).color, 'rgb(101, 123, 131)');
  await other.page.waitForFunction(() => getComputedStyle(document.body).backgroundColor === 'rgb(253, 246, 227)');
  await other.page.close();
  await tab.screenshot('page-settings');
  await tab.page.emulateMedia({ colorScheme: 'light' });
  await settings.getByLabel('Theme', { exact: true }).selectOption('Dark');
  assert.equal((await theme(3)).background, '#13151b', 'dark stays dark by day');
  assert.equal(await ground(tab), 'rgb(19, 21, 27)');
  await settings.getByLabel('Theme', { exact: true }).selectOption('As the system has it');
  assert.equal((await theme(4)).background, '#fbfbfd');

  await tab.page.reload();
  await tab.pressSignIn();
  await tab.shell();
  assert.equal((await shown()).fontSize, '20px');
  await openSettings(tab);
  await settings.getByRole('button', { name: 'Restore defaults' }).click();
  await tab.page.waitForFunction(() => getComputedStyle(document.querySelector('.xterm-rows') ?? document.body).fontSize === '14px');
  assert.equal(await settings.getByLabel('Size, in pixels').inputValue(), '');
  assert.deepEqual(size(), before);
  tab.assertNoErrors();
});

test('the fonts of the computer are offered where the browser lets them be listed', minute, async () => {
  const { tab } = await signedIn();
  await tab.shell();
  const settings = await openSettings(tab);
  const list = settings.getByRole('button', { name: 'List the fonts of this computer' });
  await list.click();
  await settings.getByText('The browser did not list its fonts. A name can be typed.').waitFor();
  await tab.page.context().grantPermissions(['local-fonts'], { origin: ORIGIN });
  await list.click();
  await settings.getByText(/The field offers \d+ fonts? of this computer\./).waitFor();
  assert.ok(!(await settings.locator('datalist option').evaluateAll((options) => options.map((one) => one.getAttribute('value')))).includes('Iosevka'));
  await settings.getByLabel('Font').fill('serif');
  await settings.getByText('The letters of serif differ in width').waitFor();
  tab.assertNoErrors();
});

test('a theme that is pasted is used, and a bad one gets a sentence', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  const settings = await openSettings(tab);
  await settings.getByText('Paste a theme').click();
  const area = settings.getByLabel('A theme', { exact: true });
  const use = settings.getByRole('button', { name: 'Use it' });
  const palette = [...Array(16)].map((_, at) => `palette = ${at}=#0${at.toString(16)}8080`).join('\n');
  await area.fill(`${palette}\nbackground = 10#`);
  await use.click();
  await settings.getByText('“background” is not a colour such as #1d1f21: “10#”.').waitFor();
  await area.fill('<html><script>document.title = "x"</script>');
  await use.click();
  await settings.getByText('This is not a property list as iTerm2 exports it').waitFor();
  await tab.screenshot('page-settings-bad');
  await area.fill(`${palette}\nbackground = 102030\nforeground = e0e0e0`);
  await use.click();
  await front.hears('theme', 2);
  const { background, palette: told } = front.heard.findLast((message) => message.type === 'theme')?.['theme'];
  assert.deepEqual([background, told[15]], ['#102030', '#0f8080']);
  assert.equal(await settings.getByLabel('Theme', { exact: true }).locator('option:checked').textContent(), 'Your own');
  await tab.page.reload();
  await tab.page.waitForFunction(() => getComputedStyle(document.body).backgroundColor === 'rgb(16, 32, 48)');
  tab.assertNoErrors();
});

test('a storage full of nonsense is a page as it comes', minute, async () => {
  const { front, tab } = await atSignIn();
  const nonsense = { font: ['x"; } body { display: none } a { b: "'], size: 1e9, lineHeight: -1, cursor: 'x', theme: { name: 'x', contrast: 1, colours: { background: 'url(//example.org)' } }, keysOff: [{}] };
  await tab.page.addInitScript((text) => localStorage.setItem('tere.preferences', text), JSON.stringify(nonsense));
  await tab.page.goto(`${ORIGIN}/#enrol=token`);
  await tab.pressSignIn();
  await tab.shell();
  assert.equal(front.heard.find((message) => message.type === 'theme')?.['theme'].background, '#13151b');
  await find(tab, 'find in');
  await tab.page.keyboard.press('Enter');
  await tab.page.locator('#find').waitFor();
  tab.assertNoErrors();
});

test('the bell is a frame for a moment, and what is selected is copied, where somebody wants that', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: ORIGIN });
  await tab.shell();
  await tab.page.evaluate(() => {
    const rung = new MutationObserver(() => document.body.setAttribute('data-rung', ''));
    rung.observe(document.querySelector('#screen') ?? document.body, { attributeFilter: ['data-bell'] });
  });
  const select = async () => {
    const word = await tab.page.locator('.xterm-rows > div').first().boundingBox();
    assert.ok(word);
    await tab.page.mouse.dblclick(word.x + 12, word.y + word.height / 2);
  };
  front.print(1, '\x07seen');
  await tab.sees(/seen$/);
  await select();
  assert.equal(await tab.page.evaluate(() => document.body.dataset['rung']), undefined);
  const settings = await openSettings(tab);
  await settings.getByLabel('Show the bell').check();
  await settings.getByLabel('Copy what is selected').check();
  await tab.page.keyboard.press('Escape');
  front.print(1, '\x07');
  await tab.page.locator('body[data-rung]').waitFor();
  await tab.page.evaluate(() => navigator.clipboard.writeText('before'));
  await select();
  await copied(tab, 'dev@web1');
  tab.assertNoErrors();
});

/**
 * Has the page believe that the user looks elsewhere, and keeps the notifications that it shows.
 * @param {Tab} tab
 */
async function looksElsewhere(tab) {
  await tab.page.evaluate(() => {
    /** @type {{ title: string, body: string }[]} */
    const shown = [];
    class Shown {
      static permission = 'default';
      static async requestPermission() {
        return (Shown.permission = globalThis.tereMayNotify ? 'granted' : 'denied');
      }
      /** @param {string} title @param {{ body: string }} options */
      constructor(title, { body }) {
        shown.push({ title, body });
        Object.assign(globalThis, { tereNotification: this });
      }
      close() {}
    }
    Object.assign(globalThis, { Notification: Shown, tereNotifications: shown, tereMayNotify: true, tereLooks: true });
    document.hasFocus = () => globalThis.tereLooks;
  });
}

/** @param {Tab} tab @param {boolean} looks */
async function look(tab, looks) {
  await tab.page.evaluate((looks) => {
    globalThis.tereLooks = looks;
    if (looks) window.dispatchEvent(new Event('focus'));
  }, looks);
}

test('a program that alerts marks the window of a user who looks elsewhere, and notifies where that is wanted', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  await looksElsewhere(tab);
  const notified = () => tab.page.evaluate(() => globalThis.tereNotifications);
  const alerting = () => tab.page.evaluate(() => ({ title: document.title, icon: document.querySelector('link[rel=icon]')?.getAttribute('href') ?? '' }));
  // Whoever looks is told nothing.
  front.print(1, '\x07\x1b]9;not told\x07one ');
  await tab.sees(/one$/);
  assert.doesNotMatch((await alerting()).title, /●/);
  await look(tab, false);
  front.print(1, '\x07two ');
  await tab.sees(/two$/);
  assert.match((await alerting()).title, /^● /);
  assert.match((await alerting()).icon, /^data:image\/svg/);
  assert.deepEqual(await notified(), [], 'off by default');
  await look(tab, true);
  assert.doesNotMatch((await alerting()).title, /●/);
  assert.match((await alerting()).icon, /^http.*favicon/);

  const settings = await openSettings(tab);
  await settings.getByLabel('Notify me').check();
  await tab.page.keyboard.press('Escape');
  await look(tab, false);
  front.print(1, '\x1b]777;notify;<b>agent</b>;waits for \u202eyou\x07three ');
  await tab.sees(/three$/);
  assert.deepEqual(await notified(), [{ title: 'dev@web1', body: '<b>agent</b>: waits for you' }]);
  // A flood of them is one.
  front.print(1, '\x1b]9;again\x07'.repeat(500) + 'four ');
  await tab.sees(/four$/);
  assert.equal((await notified()).length, 1);
  // A click leads to the shell.
  await look(tab, true);
  await tab.page.keyboard.press('Control+Shift+L');
  await tab.page.locator('#lobby').waitFor();
  await tab.page.evaluate(() => globalThis.tereNotification.onclick());
  await tab.page.locator('#shell').waitFor();
  tab.assertNoErrors();
});

test('in the lobby, a shell that alerts is named, and without leave nothing notifies', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  await looksElsewhere(tab);
  await tab.page.evaluate(() => (globalThis.tereMayNotify = false));
  const settings = await openSettings(tab);
  await settings.getByLabel('Notify me').click();
  await settings.getByText('The browser does not let this page show notifications.').waitFor();
  assert.equal(await settings.getByLabel('Notify me').isChecked(), false);
  await tab.page.keyboard.press('Escape');
  await settings.waitFor({ state: 'detached' });
  await tab.page.keyboard.press('Control+Shift+L');
  await tab.page.locator('#lobby').waitFor();
  front.print(1, '\x1b]9;the build is done\x07');
  await tab.page.locator('#notices').getByText('dev@web1: the build is done').waitFor();
  assert.match(await tab.page.title(), /^● Shells/);
  await tab.page.getByRole('button', { name: 'Back', exact: true }).click();
  await tab.page.locator('#shell').waitFor();
  assert.doesNotMatch(await tab.page.title(), /●/);
  tab.assertNoErrors();
});

test('the progress of a program is in the bar and in the title until it is over', minute, async () => {
  const { front, tab } = await signedIn();
  await tab.shell();
  const rows = await tab.page.locator('.xterm-rows > div').count();
  front.print(1, '\x1b]9;4;1;40\x07');
  await tab.page.getByRole('progressbar', { name: 'Progress of the program' }).waitFor();
  assert.match(await tab.page.title(), /^40 % · /);
  await tab.screenshot('page-progress');
  front.print(1, '\x1b]9;4;2;40\x07');
  await tab.page.locator('#bar-progress.failed').waitFor();
  front.print(1, '\x1b]9;4;0\x07');
  await tab.page.locator('#bar-progress').waitFor({ state: 'hidden' });
  assert.doesNotMatch(await tab.page.title(), /%/);
  assert.equal(await tab.page.locator('.xterm-rows > div').count(), rows, 'nothing moves');
  tab.assertNoErrors();
});

test('settings that are not those of the page are not run', minute, async () => {
  const { tab } = await signedIn();
  await tab.shell();
  await tab.page.route('**/settings-*.js', (route) =>
    route.fulfill({ body: 'document.title = "altered"; export function showSettings() {}', headers: { 'content-type': 'text/javascript' } }),
  );
  await find(tab, 'settings');
  await tab.page.keyboard.press('Enter');
  await tab.page.getByText('The settings could not be loaded.').waitFor();
  assert.notEqual(await tab.page.title(), 'altered');
  assert.match(tab.errors.join(), /integrity/);
});

test('nothing is found by axe, whatever is shown and in whichever colours', { timeout: 120_000 }, async () => {
  const axe = await readFile(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
  const { front, tab } = await signedIn((front) => {
    front.targets = [...two, { machine: '.host', user: 'ops' }];
    front.tasks = [{ user: 'dev', before: 'alice.', after: '' }];
    front.sessions = [{ id: 'aaaaaaaa2222', target: web1, opened: 0, name: 'the build', viewing: ['alice'] }];
  });
  await tab.page.locator('#lobby-sessions li').waitFor();
  await tab.page.evaluate(axe);
  const check = async (/** @type {string} */ state) => {
    const found = await tab.page.evaluate(async () => {
      // What has just been painted anew is in the middle of a transition.
      for (const animation of document.getAnimations()) if (animation instanceof CSSTransition) animation.finish();
      // These are drawn in the colours of a theme as it is, or of a program.
      const { violations } = await globalThis.axe.run({ exclude: ['.xterm', '.sample'] });
      return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
    });
    assert.deepEqual(found, [], state);
  };
  const themes = ['As the system has it', 'High contrast', 'High contrast, light', 'Solarized dark', 'Solarized light', 'Gruvbox dark', 'Gruvbox light', 'Catppuccin Mocha', 'Catppuccin Latte'];
  for (const colorScheme of /** @type {const} */ (['dark', 'light'])) {
    await tab.page.emulateMedia({ colorScheme });
    await check(`lobby, ${colorScheme}`);
    await find(tab, '');
    await tab.page.keyboard.press('ArrowDown');
    await check(`palette, ${colorScheme}`);
    await tab.page.keyboard.type('nothing at all');
    await check(`palette without a match, ${colorScheme}`);
    await tab.page.keyboard.press('Escape');
    await tab.page.keyboard.press('?');
    await check(`keys, ${colorScheme}`);
    await tab.page.keyboard.press('Escape');
  }
  const settings = await openSettings(tab);
  await settings.getByText('Paste a theme').click();
  for (const theme of themes) {
    await settings.getByLabel('Theme', { exact: true }).selectOption(theme);
    await check(`settings, ${theme}`);
    await tab.screenshot(`page-settings-${theme.toLowerCase().replaceAll(/\W+/g, '-')}`);
  }
  await tab.page.keyboard.press('Escape');
  await tab.page.locator('#lobby-targets .choice').first().click();
  await tab.shell();
  for (const theme of themes) {
    await openSettings(tab);
    await settings.getByLabel('Theme', { exact: true }).selectOption(theme);
    await tab.page.keyboard.press('Escape');
    await check(`shell, ${theme}`);
    await find(tab, '');
    await check(`palette, ${theme}`);
    await tab.screenshot(`page-palette-${theme.toLowerCase().replaceAll(/\W+/g, '-')}`);
    await tab.page.keyboard.press('Escape');
  }
  // A shell on the host has a red bar. At twice the size, less of everything is seen.
  await tab.page.setViewportSize({ width: 500, height: 320 });
  await find(tab, 'ops@.host');
  await tab.page.keyboard.press('Enter');
  await tab.page.getByRole('button', { name: 'Use my passkey' }).waitFor();
  await check('question for a touch');
  await tab.page.keyboard.press('Enter');
  await tab.page.locator('body[data-host] #bar[data-state=live]').waitFor();
  for (const theme of themes) {
    await openSettings(tab);
    await settings.getByLabel('Theme', { exact: true }).selectOption(theme);
    await check(`settings, small, ${theme}`);
    await tab.page.keyboard.press('Escape');
    await check(`shell on the host, ${theme}`);
    await find(tab, '');
    await check(`palette, small, ${theme}`);
    await tab.page.keyboard.press('Escape');
  }
  await tab.screenshot('page-small-host');
  assert.equal(front.typed, '');
  tab.assertNoErrors();
});
