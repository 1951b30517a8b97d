// Makes the page (dist/) or, with `tests`, what node's test runner reads.

import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

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
  const entryNames = '[name]-[hash]';
  await build({ ...common, entryPoints: { tere: 'src/main.ts' }, entryNames, outdir: 'dist', minify: true, legalComments: 'eof' });
  const icon = readFileSync(`${here}src/favicon.svg`);
  const hash = createHash('sha256').update(icon).digest('hex').slice(0, 8).toUpperCase();
  writeFileSync(`${here}dist/favicon-${hash}.svg`, icon);
  const made = readdirSync(`${here}dist`);
  let page = readFileSync(`${here}src/index.html`, 'utf8');
  for (const name of ['favicon.svg', 'tere.css', 'tere.js']) {
    const [stem, extension] = name.split('.');
    const named = made.find((one) => one.startsWith(`${stem}-`) && one.endsWith(`.${extension}`));
    if (named === undefined || !page.includes(`"/${name}"`)) throw new Error(`the page does not use ${name}`);
    page = page.replace(`"/${name}"`, `"/${named}"`);
  }
  writeFileSync(`${here}dist/index.html`, page);
  // The front serves these as they are: it compresses nothing by itself.
  for (const name of readdirSync(`${here}dist`)) {
    const bytes = readFileSync(`${here}dist/${name}`);
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
    writeFileSync(`${here}dist/${name}.br`, brotliCompressSync(bytes, { params }));
    writeFileSync(`${here}dist/${name}.gz`, gzipSync(bytes, { level: 9 }));
  }
}
