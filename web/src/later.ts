// The part of the page that is rarely used, and loaded when it is needed: the settings. The page
// has the digest of its bytes, and the browser checks it.

import type { showSettings } from './settings.ts';

interface Settings {
  showSettings: typeof showSettings;
}

/** Where the part is, and its digest: set by bundle.mjs. */
declare const SETTINGS: { address: string; integrity: string };

/** How long the browser may take to fetch it. */
const FETCHED_WITHIN_MS = 15_000;

let loading: Promise<Settings> | undefined;

/** Loads settings.ts, once. After a failure, the next call tries again. */
export function settings(): Promise<Settings> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<Settings> {
  // `import` takes no digest, but it uses a module that a link has loaded, and a link takes one.
  const link = document.createElement('link');
  if (link.relList.supports('modulepreload')) {
    link.rel = 'modulepreload';
    link.integrity = SETTINGS.integrity;
    link.href = SETTINGS.address;
    await new Promise<unknown>((fetched, failed) => {
      link.onload = fetched;
      link.onerror = failed;
      setTimeout(failed, FETCHED_WITHIN_MS);
      document.head.append(link);
    }).finally(() => link.remove());
  }
  return (await import(SETTINGS.address)) as Settings;
}
