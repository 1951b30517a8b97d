// Reports of the mouse and of the focus: they are input, but nobody typed them.

const REPORT = /^\x1b\[(?:[IO]$|M|<)/;

export function isReport(bytes: Uint8Array): boolean {
  return REPORT.test(String.fromCharCode(...bytes.subarray(0, 4)));
}
