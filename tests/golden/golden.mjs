// Golden files: what the program says, held word by word. UPDATE_GOLDEN=1 writes them anew.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const kFolder = join(dirname(fileURLToPath(import.meta.url)), 'files');

export function assertGolden(name, actual) {
  const path = join(kFolder, name);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, actual);
  const expected = existsSync(path) ? readFileSync(path, 'utf8') : '';
  assert.equal(actual, expected, `${name} differs; if that is meant: UPDATE_GOLDEN=1, and say so in CHANGELOG.md`);
}
