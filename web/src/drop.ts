// A file that is dropped on a page takes its place in most browsers, and the shell is gone from the tab.

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
