// dgemma-VERSION.vsix, in the folder that is given (here, when none is).
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createVSIX } from '@vscode/vsce';
import './bundle.mjs';
import { withoutPictures } from './readme.mjs';

const folder = process.argv[2] ?? '.';
const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
mkdirSync(folder, { recursive: true });
copyFileSync('../../LICENSE', 'LICENSE');
writeFileSync('dist/README.md', withoutPictures(readFileSync('README.md', 'utf8')));
await createVSIX({
  readmePath: 'dist/README.md',
  packagePath: join(folder, `${name}-${version}.vsix`),
  dependencies: false, // everything is in the bundle
  allowMissingRepository: true,
  rewriteRelativeLinks: false,
});
