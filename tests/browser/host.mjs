// The host under test: a booted host, entered by the PID of its init.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const COMMAND_WITHIN_MS = 60_000;
const SETTLED_WITHIN_MS = 15_000;

/** @param {string} name */
function given(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run these stories by tests/run`);
  return value;
}

/** The origin of the page. */
export const origin = given('TERE_ORIGIN');
const leader = given('TERE_HOST_LEADER');

/** The machine, and the user on it, for which alice and bob have grants. */
export const machine = process.env['TERE_MACHINE'] ?? 'web1';
export const user = process.env['TERE_MACHINE_USER'] ?? 'dev';

/**
 * Runs a command in the host as root and returns its output.
 * @param {string[]} command
 */
export async function inHost(...command) {
  const { stdout } = await promisify(execFile)(
    'nsenter',
    ['-t', leader, '-m', '-u', '-i', '-n', '-p', '-C', '-r', '-w', '--', ...command],
    { timeout: COMMAND_WITHIN_MS, encoding: 'utf8' },
  );
  return stdout;
}

/**
 * An enrolment link for an account that is created anew, because an account has room for only a few
 * passkeys.
 * @param {string} account
 * @returns {Promise<string>}
 */
export async function enrolmentLink(account) {
  await inHost('tere', 'account', 'remove', account).catch(() => 'it was not there');
  return JSON.parse(await inHost('tere', 'account', 'add', account, '--json')).link;
}

/** The ids of all live sessions. */
async function sessions() {
  /** @type {{ session: string }[]} */
  const list = JSON.parse(await inHost('tere', 'list', '--json'));
  return list.map(({ session }) => session);
}

/**
 * Waits until this many sessions are live. The host is polled, because it cleans up after the page
 * has received the end, and nothing reports that.
 * @param {number} count
 */
export async function sessionsAre(count) {
  const deadline = Date.now() + SETTLED_WITHIN_MS;
  for (;;) {
    const live = await sessions();
    if (live.length === count) return;
    if (Date.now() > deadline) throw new Error(`${live.length} sessions are live, not ${count}: ${live.join(' ')}`);
  }
}

/** Ends every session, so that one test leaves nothing to the next. */
export async function endSessions() {
  for (const id of await sessions()) await inHost('tere', 'end', id);
  await sessionsAre(0);
}
