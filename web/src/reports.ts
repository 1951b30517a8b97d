// Mouse and focus reports: they are input, but the user did not type them.

const REPORT = /^\x1b\[(?:[IO]$|M|<)/;

export function isReport(bytes: Uint8Array): boolean {
  return REPORT.test(String.fromCharCode(...bytes.subarray(0, 4)));
}
