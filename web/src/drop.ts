// Most browsers open a dropped file in place of the page, and the tab would lose its shell.

import { notice } from './notice.ts';

const holdsFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;

/** Keeps dropped files from replacing the page. */
export function refuseFiles(): void {
  window.addEventListener('dragover', (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = 'none';
  });
  window.addEventListener('drop', (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    notice('drop', 'Files cannot be dropped here. Paste their text, or fetch them from within the shell.');
  });
}
