// The page's terminal does not answer queries from programs. A session can have many viewers, none
// of which may answer for the others, so the worker answers. Each handler here takes a query before
// xterm.js would answer it. User input is still sent: keys, pastes, mouse and focus reports.

import type { IParser } from '@xterm/xterm';

/** Window operations (CSI t) that send no reply: the title stack. */
const TITLE_STACK = [22, 23];

export function ignoreQueries(parser: IParser): void {
  const swallow = () => true;
  for (const query of [
    { final: 'c' }, // DA1
    { prefix: '>', final: 'c' }, // DA2
    { prefix: '=', final: 'c' }, // DA3
    { final: 'n' }, // DSR: status, cursor
    { prefix: '?', final: 'n' }, // DSR, private: cursor, printer, colour scheme
    { intermediates: '$', final: 'p' }, // DECRQM, ANSI modes
    { prefix: '?', intermediates: '$', final: 'p' }, // DECRQM, private modes
    { prefix: '>', final: 'q' }, // XTVERSION
    { prefix: '?', final: 'u' }, // keyboard flags
    { prefix: '?', final: 'm' }, // XTQMODKEYS
    { final: 'x' }, // DECREQTPARM
    { prefix: '?', final: 'S' }, // graphics attributes
  ]) {
    parser.registerCsiHandler(query, swallow);
  }
  parser.registerCsiHandler({ final: 't' }, (parameters) => !TITLE_STACK.includes(Number(parameters[0])));

  // Colours may be set; a `?` in place of a colour is a query.
  for (const colour of [4, 5, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]) {
    parser.registerOscHandler(colour, (data) => data.split(';').includes('?'));
  }
  // Nobody is told what is in the clipboard. What is copied to it, osc52.ts reads.
  parser.registerOscHandler(52, swallow);

  parser.registerDcsHandler({ intermediates: '$', final: 'q' }, swallow); // DECRQSS
  parser.registerDcsHandler({ intermediates: '+', final: 'q' }, swallow); // XTGETTCAP
}
