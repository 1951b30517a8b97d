import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wheel } from './wheel.ts';

test('a notch is three lines, whatever the browser calls it', () => {
  const lines = (event: object) => new Wheel().lines({ deltaY: 0, deltaMode: 0, ...event }, 17, 24);
  assert.equal(lines({ deltaY: 100, wheelDeltaY: -120 }), 3);
  assert.equal(lines({ deltaY: -120, wheelDeltaY: 120 }), -3);
  assert.equal(lines({ deltaY: 200, wheelDeltaY: -240 }), 6);
  assert.equal(lines({ deltaY: 3, deltaMode: 1 }), 3, 'Firefox counts lines');
  assert.equal(lines({ deltaY: -1, deltaMode: 2 }), -24, 'pages');
  assert.equal(lines({ deltaY: 1e9 }), 24, 'no more than a screen');
});

test('a trackpad scrolls as far as the fingers move, and back at once', () => {
  const wheel = new Wheel();
  const move = (deltaY: number) => wheel.lines({ deltaY, deltaMode: 0, wheelDeltaY: -3 * deltaY }, 17, 24);
  const moved = Array.from({ length: 17 }, () => move(4)).reduce((sum, lines) => sum + lines, 0);
  assert.equal(moved, 4);
  move(16);
  assert.equal(move(-17), -1);
});
