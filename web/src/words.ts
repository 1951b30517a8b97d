// Short phrases made from values.

import type { Target } from './protocol.ts';

export function targetName(target: Target): string {
  return `${target.user}@${target.machine}`;
}

/** How long ago, in the largest unit that fits. */
export function ago(thenSeconds: number, nowMs: number): string {
  const seconds = Math.max(0, Math.floor(nowMs / 1000 - thenSeconds));
  if (seconds < 60) return 'just now';
  const [count, unit] =
    seconds < 3600
      ? [Math.floor(seconds / 60), 'minute']
      : seconds < 86_400
        ? [Math.floor(seconds / 3600), 'hour']
        : [Math.floor(seconds / 86_400), 'day'];
  return `${counted(count, unit)} ago`;
}

/** A time span in its largest units: "30 minutes", "45 seconds", "1 hour 30 minutes". */
export function inTime(seconds: number): string {
  if (seconds < 120) return counted(Math.round(seconds), 'second');
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return counted(minutes, 'minute');
  const rest = minutes % 60;
  return counted(Math.floor(minutes / 60), 'hour') + (rest > 0 ? ` ${counted(rest, 'minute')}` : '');
}

/** An amount of bytes in a readable unit. */
export function amount(bytes: number): string {
  if (bytes < 1000) return counted(bytes, 'byte');
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

export function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}

/**
 * The window's title, preceded by the state of the shell if there is one. A program's title comes
 * from the machine, so it is cut to a maximum length and loses its control characters.
 */
export function windowTitle(programs: string, target: Target | undefined, state?: string): string {
  // Bidirectional controls could make the title say something else.
  const plain = programs.slice(0, 1000).replace(/[\p{Cc}\p{Cf}]/gu, '').trim().slice(0, 120);
  const first = plain || (target && targetName(target));
  return [state, first, 'tere'].filter((part) => part).join(' · ');
}
