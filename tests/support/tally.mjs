// Adds up test results for scripts/test:
//
//   node tests/support/tally.mjs BROKEN TREE ...
//
// BROKEN stages that could not run count as failed. Each build TREE has in results/ the list of its
// test programs (ctest.xml), and of most programs the cases that they counted: NAME.json from
// GoogleTest, NAME.tap from Node. Prints "N passed, N failed", with ", N skipped" where there are any.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// [{name, failed}] of the programs that ctest ran.
function programsOf(folder) {
  const text = readFileSync(join(folder, 'ctest.xml'), 'utf8');
  return [...text.matchAll(/<testcase name="([^"]*)"[^>]*status="(\w+)"/g)]
      .map(([, name, status]) => ({ name, failed: status !== 'run' }));
}

// The cases of one program, or undefined where it left no count.
function casesOf(folder, name) {
  const json = join(folder, `${name}.json`);
  const tap = join(folder, `${name}.tap`);
  if (existsSync(json)) {
    const { tests, failures, disabled } = JSON.parse(readFileSync(json, 'utf8'));
    return { passed: tests - failures - disabled, failed: failures, skipped: disabled };
  }
  if (!existsSync(tap)) return undefined;
  const text = readFileSync(tap, 'utf8');
  const count = (what) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(text)?.[1] ?? NaN);
  const failed = count('fail') + count('cancelled');
  const cases = { passed: count('pass'), failed, skipped: count('skipped') + count('todo') };
  return Number.isNaN(cases.passed + cases.failed) ? undefined : cases;
}

// {passed, failed, skipped} of one folder of results. A folder without a list is one failure.
export function tally(folder) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  if (!existsSync(join(folder, 'ctest.xml'))) return { ...total, failed: 1 };
  for (const { name, failed } of programsOf(folder)) {
    const cases = casesOf(folder, name) ?? { passed: failed ? 0 : 1, failed: 0, skipped: 0 };
    // A program may fail though all its cases passed: a leak, a crash at the end.
    total.passed += cases.passed;
    total.failed += failed ? Math.max(cases.failed, 1) : cases.failed;
    total.skipped += cases.skipped;
  }
  return total;
}

function main() {
  const [broken, ...trees] = process.argv.slice(2);
  const total = { passed: 0, failed: Number(broken), skipped: 0 };
  for (const tree of trees) {
    const part = tally(join(tree, 'results'));
    for (const key of Object.keys(total)) total[key] += part[key];
  }
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
