// The life of a host that is a virtual machine: what a container cannot show. The tests run in order,
// and each continues where the one before ended. A person's passkey lives out here, in the browser.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, inVm, origin, packages, vmDoes } from './vm.mjs';
import { launch, newPerson, Tab } from './tab.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Tab} */
let alice;

before(async () => {
  browser = await launch();
  alice = await Tab.open(await newPerson(browser));
});

after(async () => {
  await browser.close();
});

const minutes = { timeout: 360_000 };
const LONG_MS = 120_000;

const POLICY = `origin = "${origin}"
[[grant]]
accounts = ["alice", "bob", "carol"]
machine = "{account}-box"
user = "dev"
[[machine]]
name = "{account}-box"
template = "debian"
memory = "192M"
tasks = 200
`;

/** @param {string} account @returns {Promise<string>} */
async function enrolmentLink(account) {
  return JSON.parse(await inVm(`tere account add ${account} --json`)).link;
}

/** Waits for a shell, and tries again where the page offers it. @param {Tab} tab */
async function shell(tab) {
  await eventually('a shell', 3 * LONG_MS, async () => {
    await tab.page.locator('#bar[data-state=live], #bar[data-state=over]').waitFor({ timeout: LONG_MS });
    if ((await tab.page.locator('#bar').getAttribute('data-state')) === 'live') return true;
    await tab.page.locator('#panel .primary').click();
    return undefined;
  });
  await tab.shell();
}

/**
 * Signs in again after a lost connection, and once more as long as the host is still busy starting
 * and the page says to try again.
 * @param {Tab} tab
 * @param {RegExp} said
 */
async function signInAgain(tab, said) {
  await eventually('the host has started', LONG_MS, async () => {
    await tab.answer();
    const panel = tab.page.locator('#panel').filter({ hasText: new RegExp(`${said.source}|A part of tere is not running`) });
    await panel.waitFor({ timeout: LONG_MS });
    return said.test((await panel.textContent()) ?? '') || undefined;
  });
}

/** Runs a command in a shell, and waits until it has printed a number. @param {Tab} tab @param {string} line @param {number} sum */
async function prints(tab, line, sum) {
  await tab.run(`clear; ${line}`);
  await tab.sees(new RegExp(`^${sum}$`, 'm'));
}

/** The machine of an account in the list. @param {string} account */
async function machineOf(account) {
  /** @type {{ machine: string, state: string, damage?: string }[]} */
  const machines = JSON.parse(await inVm('tere machine list --json'));
  return machines.find(({ machine }) => machine === `${account}-box`);
}

/** tere on the host finds nothing wrong, once its services have started. */
async function isSound() {
  const deadline = Date.now() + LONG_MS;
  for (;;) {
    const said = await inVm('tere check 2>&1 || true; tere machine list 2>&1; tere account list 2>&1');
    if (!/^WRONG|damage|cannot be used|set aside/im.test(said)) return;
    if (Date.now() > deadline) assert.fail(said);
  }
}

test('the package is installed, and a policy makes it ready', minutes, async () => {
  await vmDoes('install', packages.first);
  await inVm(`cat >/etc/tere/tere.toml <<'END'\n${POLICY}END\nsystemctl restart tere-broker; systemctl try-restart tere-front tere-auth`);
  await isSound();
  assert.equal(await inVm('stat -f -c %T /sys/fs/cgroup'), 'cgroup2fs');
});

test('a person enrols from outside, and gets a machine', minutes, async () => {
  await alice.page.goto(await enrolmentLink('alice'));
  await alice.pressSignIn();
  await shell(alice);
  assert.equal(await alice.page.locator('#bar-where').textContent(), 'dev@alice-box');
  await prints(alice, 'echo mine >~/kept; sync; echo $((20+1))', 21);
  await alice.screenshot('vm-1-machine');
  const machine = await machineOf('alice');
  assert.equal(machine?.state, 'active');
});

test('after a reboot the passkey, the policy, the machine and the home are there, and the shell is said to have ended', minutes, async () => {
  const began = Date.now();
  await vmDoes('reboot');
  console.log(`reboot: ${Math.round((Date.now() - began) / 1000)} s`);
  await alice.panelSays(/The server is back\. Sign in again/, LONG_MS);
  await signInAgain(alice, /The shell ended while you were away/);
  await alice.screenshot('vm-2-ended');
  await alice.answer();
  await shell(alice);
  assert.equal(await alice.page.locator('#bar-where').textContent(), 'dev@alice-box');
  await alice.run('clear; cat ~/kept');
  await alice.sees(/^mine$/m);
  await isSound();
});

test('an upgrade of the package leaves a session in use', minutes, async () => {
  await alice.run('clear; kept=41');
  await alice.run('for i in $(seq 600); do echo $i; sleep 0.1; done | tail -n 1 >~/counted &');
  await vmDoes('install', packages.upgrade);
  assert.match(await inVm('dpkg-query -W tere'), /\+upgrade$/);
  await alice.panelSays(/The server is back\. Sign in again/, LONG_MS);
  await alice.answer();
  await shell(alice);
  await prints(alice, 'echo $((kept + 1)); kill $!', 42);
  await isSound();
});
