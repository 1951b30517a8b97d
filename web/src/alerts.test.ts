import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Alerts, plainText, type Alert, type Progress } from './alerts.ts';

function made() {
  const alerted: Alert[] = [];
  const shown: Progress[] = [];
  const clock = { now: 1_000_000 };
  const alerts = new Alerts((alert) => alerted.push(alert), (progress) => shown.push(progress), () => clock.now);
  return { alerts, alerted, shown, clock };
}

test('a notification is read as three terminals have it', () => {
  const { alerts, alerted } = made();
  alerts.osc9('the build is done');
  alerts.osc777('notify;build;done; all of it');
  alerts.osc777('notify;;only a text');
  alerts.osc99(';kitty');
  alerts.osc99('i=1:d=0;in ');
  alerts.osc99('i=1:d=0;parts');
  alerts.osc99('i=1:p=body;and a text');
  alerts.osc99('e=1;w7xiZXI=');
  assert.deepEqual(
    alerted.map(({ kind, text }) => `${kind}: ${text}`),
    ['the build is done', 'build: done; all of it', 'only a text', 'kitty', 'in parts: and a text', 'über'].map((text) => `notification: ${text}`),
  );
});

test('what is no notification alerts nobody', () => {
  const { alerts, alerted } = made();
  for (const data of ['', ' \t', '4;1;50', '4', '1;100', '9;/home', '12']) alerts.osc9(data);
  for (const data of ['', 'notify', 'notify;', 'precmd;x']) alerts.osc777(data);
  for (const data of ['', 'x', 'p=close;x', 'p=icon;aGk=', 'p=?;', 'i=2:d=0;never complete', 'e=1;%%%']) alerts.osc99(data);
  for (const data of ['D', 'D;1', 'C', 'A', 'B']) alerts.osc133(data);
  assert.deepEqual(alerted, []);
});

test('a text is one line that says nothing else than it shows', () => {
  assert.equal(plainText('a\x1b]b\nc\u202ed\u200be'), 'a ]b c d e');
  assert.equal(plainText('<b>bold</b> &amp;'), '<b>bold</b> &amp;', 'it is text and stays text');
  assert.equal(plainText('x'.repeat(1_000_000)).length, 200);
});

test('a notification in parts is bounded, and another one begins anew', () => {
  const { alerts, alerted } = made();
  for (let part = 0; part < 1000; part += 1) alerts.osc99(`i=1:d=0;${'x'.repeat(100)}`);
  alerts.osc99('i=2;other');
  alerts.osc99('i=1;end');
  assert.deepEqual(alerted.map(({ text }) => text), ['other', 'end']);
});

test('a command that took long says so, with its status', () => {
  const { alerts, alerted, clock } = made();
  const command = (took: number, end: string) => {
    alerts.osc133('C');
    clock.now += took;
    alerts.osc133(end);
  };
  command(9_999, 'D;0');
  command(10_000, 'D;0');
  command(180_000, 'D;2;more');
  command(20_000, 'D');
  alerts.osc133('D;0');
  assert.deepEqual(alerted.map(({ text }) => text), ['Finished after 10 s', 'Failed with status 2 after 3 min', 'Finished after 20 s']);
});

test('progress is shown until its end', () => {
  const { alerts, shown } = made();
  for (const data of ['4;1;40', '4;2;40', '4;1;999', '4;3', '4;0']) alerts.osc9(data);
  assert.deepEqual(shown, [{ percent: 40, failed: false }, { percent: 40, failed: true }, { percent: 100, failed: false }, undefined, undefined]);
});
