// One file from src/ for VS Code, or with --tests one for each file of test/. --watch bundles again at every change.
import { readdirSync } from 'node:fs';
import { context } from 'esbuild';

const tests = process.argv.includes('--tests');
const options = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['vscode'],
  logLevel: 'warning',
  ...(tests
    ? {
        entryPoints: readdirSync('test').filter((name) => name.endsWith('.test.ts')).map((name) => `test/${name}`),
        outdir: '.cache',
        outExtension: { '.js': '.cjs' },
      }
    : { entryPoints: ['src/extension.ts'], outfile: 'dist/extension.js', minify: true, keepNames: true }),
};

const bundle = await context(options);
if (process.argv.includes('--watch')) {
  await bundle.watch();
} else {
  await bundle.rebuild();
  await bundle.dispose();
}
