// The virtual machine under test, reached through mkosi/vm.

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const MKOSI_VM = new URL('../../mkosi/vm', import.meta.url).pathname;

/** @param {string} name */
function given(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this by tests/run vm`);
  return value;
}

const vm = given('TERE_VM');

/** The origin of the page, from outside of the virtual machine. */
export const origin = given('TERE_ORIGIN');

/** The package under test, and one with a higher version to upgrade to. */
export const packages = { first: given('TERE_PACKAGE'), upgrade: given('TERE_UPGRADE') };

/** The longest that a command may take: booting takes longest. */
const COMMAND_WITHIN_MS = 240_000;

/**
 * Runs mkosi/vm VERB NAME ARGUMENT... and returns its output.
 * @param {string} verb
 * @param {string[]} rest
 */
export async function vmDoes(verb, ...rest) {
  const { stdout } = await promisify(execFile)(MKOSI_VM, [verb, vm, ...rest], {
    timeout: COMMAND_WITHIN_MS,
    encoding: 'utf8',
  });
  return stdout.trimEnd();
}

/**
 * Runs a line of shell in the virtual machine as root, and returns its output.
 * @param {string} line
 */
export async function inVm(line) {
  return vmDoes('enter', 'sh', '-euc', line);
}

/**
 * Writes a file of the tests to a file in the virtual machine.
 * @param {URL} file
 * @param {string} path
 */
export async function putInVm(file, path) {
  const text = await readFile(file, 'base64');
  await inVm(`echo ${text} | base64 -d >${path}`);
}

/**
 * The output of a line of shell that fails.
 * @param {string} line
 */
export async function failsInVm(line) {
  return inVm(`! { ${line} 2>&1; }`);
}

/**
 * Asks again and again until the answer is what it should be. Only for what nothing reports.
 * @template T
 * @param {string} what
 * @param {number} withinMs
 * @param {() => Promise<T | undefined>} ask
 * @returns {Promise<T>}
 */
export async function eventually(what, withinMs, ask) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
  }
}
