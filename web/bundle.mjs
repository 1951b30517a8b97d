// Makes the page (dist/) or, with `tests`, what node's test runner reads.

import { build } from 'esbuild';
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';

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
  await build({ ...common, entryPoints: { tere: 'src/main.ts' }, outdir: 'dist', minify: true, legalComments: 'eof' });
  for (const name of ['index.html', 'favicon.svg']) cpSync(`${here}src/${name}`, `${here}dist/${name}`);
}
