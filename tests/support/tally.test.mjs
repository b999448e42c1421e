// Tests of the count that scripts/test ends with.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { tally } from './tally.mjs';

function tallyOf(files) {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-tally-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return tally(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const list = (...cases) => cases
    .map(([name, status]) => `<testcase name="${name}" classname="x" time="1" status="${status}">`)
    .join('\n');
const googletest = (tests, failures, disabled) => JSON.stringify({ tests, failures, disabled });

test('cases are counted where a program counted them, else the program is', () => {
  const total = tallyOf({
    'ctest.xml': list(['io_test', 'run'], ['compat_test', 'fail'], ['sse_fuzz', 'run']),
    'io_test.json': googletest(12, 0, 1),
    'compat_test.tap': '# pass 5\n# fail 2\n# cancelled 1\n# skipped 1\n# todo 0\n',
  });
  assert.deepEqual(total, { passed: 11 + 5 + 1, failed: 3, skipped: 2 });
});

test('a program that crashed, leaked or never ran is a failure', () => {
  const total = tallyOf({
    'ctest.xml': list(['crash_test', 'fail'], ['leak_test', 'fail'], ['gone_test', 'notrun']),
    'leak_test.json': googletest(3, 0, 0),
  });
  assert.deepEqual(total, { passed: 3, failed: 3, skipped: 0 });
});

test('no list at all is a failure', () => {
  assert.equal(tallyOf({}).failed, 1);
});
