// A user's browser: tabs with a passkey, and functions that read the page.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { chromium } from 'playwright-core';

const SCREENSHOTS = new URL('../../target/screenshots/', import.meta.url).pathname;
/** How many times slower than a container the host is: an emulated processor takes its time. */
export const SLOWNESS = Number(process.env['TERE_SLOWNESS'] ?? 1);
const SOON_MS = 15_000 * SLOWNESS;

/** @typedef {import('playwright-core').BrowserContext} Person */

/**
 * Starts the browser. It runs as root, in a network of its own, and must not send background
 * traffic.
 */
export function launch() {
  mkdirSync(SCREENSHOTS, { recursive: true });
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A tab with an authenticator of its own that answers at once. */
export class Tab {
  /** Errors reported by the browser: failed scripts, and violations of the page's policy. */
  errors = /** @type {string[]} */ ([]);
  /** Text frames sent to the front, and the bytes typed. */
  sent = /** @type {{ type: string, [more: string]: unknown }[]} */ ([]);
  typed = '';

  /**
   * @param {import('playwright-core').Page} page
   * @param {import('playwright-core').CDPSession} devtools
   * @param {string} authenticator
   */
  constructor(page, devtools, authenticator) {
    this.page = page;
    this.devtools = devtools;
    this.authenticator = authenticator;
    page.on('pageerror', (error) => this.errors.push(String(error)));
    page.on('console', (line) => {
      if (line.type() === 'error' && !/WebSocket connection to/.test(line.text())) this.errors.push(line.text());
    });
    page.on('websocket', (socket) =>
      socket.on('framesent', ({ payload }) => {
        if (typeof payload === 'string') this.sent.push(JSON.parse(payload));
        else this.typed += payload.subarray(2).toString('latin1');
      }),
    );
  }

  /** @param {Person} person */
  static async open(person) {
    const page = await person.newPage();
    page.setDefaultTimeout(SOON_MS);
    const devtools = await person.newCDPSession(page);
    await devtools.send('WebAuthn.enable');
    const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    return new Tab(page, devtools, authenticatorId);
  }

  /** Sets whether the authenticator verifies the user. @param {boolean} isUserVerified */
  async setUserVerified(isUserVerified) {
    await this.devtools.send('WebAuthn.setUserVerified', { authenticatorId: this.authenticator, isUserVerified });
  }

  /**
   * Copies the passkeys of another tab's authenticator, as one device has them in all tabs.
   * @param {Tab} from
   */
  async takePasskeys(from) {
    const { credentials } = await from.devtools.send('WebAuthn.getCredentials', { authenticatorId: from.authenticator });
    for (const credential of credentials) {
      const { credentialId } = credential;
      await this.devtools.send('WebAuthn.removeCredential', { authenticatorId: this.authenticator, credentialId }).catch(() => undefined);
      await this.devtools.send('WebAuthn.addCredential', { authenticatorId: this.authenticator, credential });
    }
  }

  /** Presses the button of the sign-in form. */
  async pressSignIn() {
    await this.page.click('#sign-in-button:enabled');
  }

  /** Waits until a shell is in view and shows its prompt. */
  async shell() {
    await this.page.waitForSelector('#bar[data-state=live]', { timeout: 30_000 * SLOWNESS }).catch(async () => {
      assert.fail(`no shell came, but: ${await this.page.locator('main:visible').innerText()}`);
    });
    await this.sees(/[$#] *$/);
  }

  /** @param {string} link */
  async enrol(link) {
    await this.page.goto(link);
    await this.pressSignIn();
    await this.shell();
  }

  /** Types a line into the terminal. @param {string} line */
  async run(line) {
    await this.page.keyboard.type(line);
    await this.page.keyboard.press('Enter');
  }

  /** Pastes a text into the focused element. @param {string} text */
  async paste(text) {
    await this.page.evaluate((text) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData('text/plain', text);
      document.activeElement?.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
    }, text);
  }

  /** The screen's lines, joined. */
  async screen() {
    return this.page.evaluate(readScreen);
  }

  /**
   * Waits until the screen's text, without trailing blanks, matches.
   * @param {RegExp} pattern
   */
  async sees(pattern, timeout = SOON_MS) {
    try {
      await this.page.waitForFunction(
        ([source, flags]) => new RegExp(source ?? '', flags).test(globalThis.tereScreen()),
        [pattern.source, pattern.flags],
        { timeout },
      );
    } catch {
      assert.fail(`not seen within ${timeout} ms: ${pattern}\nthe screen has:\n${await this.screen()}`);
    }
  }

  /**
   * Waits until the text of the panel matches.
   * @param {RegExp} pattern
   */
  async panelSays(pattern, timeout = SOON_MS) {
    const panel = this.page.locator('#panel').filter({ hasText: pattern });
    await panel.waitFor({ timeout }).catch(async () => {
      assert.fail(`the panel does not say ${pattern}, but: ${await this.page.locator('#panel').textContent()}`);
    });
  }

  /** Presses Enter once the panel accepts it, wherever the focus is. */
  async answer() {
    await this.page.locator('#panel[data-ready]').waitFor();
    await this.page.keyboard.press('Enter');
  }

  /** Waits until the sign-in form shows this error. @param {RegExp} pattern */
  async signInSays(pattern) {
    await this.page.locator('#sign-in-message').filter({ hasText: pattern }).waitFor();
  }

  /** The size of the terminal that the page last reported to the front. */
  size() {
    const told = this.sent.filter((message) => 'size' in message).at(-1);
    return /** @type {{ cols: number, rows: number }} */ (told?.['size']);
  }

  /** @param {string} name */
  async screenshot(name) {
    await this.page.screenshot({ path: `${SCREENSHOTS}${name}.png` });
  }

  /** Asserts that no script failed and the page's policy was not violated. */
  assertNoErrors() {
    assert.deepEqual(this.errors, []);
  }
}

/** Runs in the page. The DOM renderer has one element for each row. */
function readScreen() {
  const rows = [...document.querySelectorAll('.xterm-rows > div')];
  return rows
    .map((row) => (row.textContent ?? '').replaceAll('\u00a0', ' ').trimEnd())
    .join('\n')
    .trimEnd();
}

/** A new person at a new computer. @param {import('playwright-core').Browser} browser */
export async function newPerson(browser) {
  const person = await browser.newContext({ viewport: { width: 1000, height: 640 }, colorScheme: 'dark' });
  await person.addInitScript(`globalThis.tereScreen = ${readScreen}`);
  return person;
}
