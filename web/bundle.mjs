// Makes the page (dist/) or, with `tests`, what node's test runner reads.

import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** The most bytes that the whole page takes on its way to a browser, compressed with brotli. */
const PAGE_MAX = 160_000;

const here = new URL('.', import.meta.url).pathname;
const common = { absWorkingDir: here, bundle: true, format: 'esm', target: 'es2022', logLevel: 'warning' };

if (process.argv[2] === 'tests') {
  const outdir = 'node_modules/.tests';
  rmSync(here + outdir, { recursive: true, force: true });
  const entryPoints = readdirSync(`${here}src`).filter((name) => name.endsWith('.test.ts'));
  await build({
    ...common,
    entryPoints: entryPoints.map((name) => `src/${name}`),
    outdir,
    platform: 'node',
    outExtension: { '.js': '.mjs' },
    sourcemap: 'inline',
    packages: 'external',
  });
} else {
  rmSync(`${here}dist`, { recursive: true, force: true });
  mkdirSync(`${here}dist`);
  // A name with a hash in it never stands for anything else: browsers keep the file for ever.
  const page = { ...common, entryNames: '[name]-[hash]', outdir: 'dist', minify: true, legalComments: 'eof' };
  await build({ ...page, entryPoints: { settings: 'src/settings.ts' } });
  const [settings] = readdirSync(`${here}dist`);
  const digest = createHash('sha384').update(readFileSync(`${here}dist/${settings}`)).digest('base64');
  const define = { SETTINGS: JSON.stringify({ address: `/${settings}`, integrity: `sha384-${digest}` }) };
  await build({ ...page, entryPoints: { tere: 'src/main.ts' }, define });
  const icon = readFileSync(`${here}src/favicon.svg`);
  const hash = createHash('sha256').update(icon).digest('hex').slice(0, 8).toUpperCase();
  writeFileSync(`${here}dist/favicon-${hash}.svg`, icon);
  const made = readdirSync(`${here}dist`);
  let html = readFileSync(`${here}src/index.html`, 'utf8');
  for (const name of ['favicon.svg', 'tere.css', 'tere.js']) {
    const [stem, extension] = name.split('.');
    const named = made.find((one) => one.startsWith(`${stem}-`) && one.endsWith(`.${extension}`));
    if (named === undefined || !html.includes(`"/${name}"`)) throw new Error(`the page does not use ${name}`);
    html = html.replace(`"/${name}"`, `"/${named}"`);
  }
  writeFileSync(`${here}dist/index.html`, html);
  // The front serves these as they are: it compresses nothing by itself.
  let total = 0;
  for (const name of readdirSync(`${here}dist`)) {
    const bytes = readFileSync(`${here}dist/${name}`);
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
    const compressed = brotliCompressSync(bytes, { params });
    total += compressed.length;
    writeFileSync(`${here}dist/${name}.br`, compressed);
    writeFileSync(`${here}dist/${name}.gz`, gzipSync(bytes, { level: 9 }));
  }
  if (total > PAGE_MAX) throw new Error(`the page is too large: ${total} bytes, more than ${PAGE_MAX}`);
}
