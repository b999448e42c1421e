// Tests of the tidy test's deep part: what it flags, and what it need not look at again.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const kRoot = mkdtempSync(join(tmpdir(), 'penstock-deep-'));
after(() => rmSync(kRoot, { recursive: true }));

function write(path, text) {
  mkdirSync(dirname(join(kRoot, path)), { recursive: true });
  writeFileSync(join(kRoot, path), text);
}

function deep(kind) {
  const program = fileURLToPath(new URL('deep.mjs', import.meta.url));
  const options = { encoding: 'utf8' };
  return spawnSync(process.execPath, [program, kind, join(kRoot, 'build'), kRoot], options);
}

copyFileSync(new URL('../../.clang-tidy', import.meta.url), join(kRoot, '.clang-tidy'));
write('src/base/litres.h', '#pragma once\nstruct Litres {\n  int count = 0;\n};\n');
write('src/base/pump.h', '#pragma once\n#include "base/litres.h"\nint Count(Litres litres);\n');
write('src/base/pump.cc', '#include "base/pump.h"\nint Count(Litres litres) { return litres.count; }\n');
const file = join(kRoot, 'src/base/pump.cc');
const command = `/usr/bin/ccache /usr/bin/clang++-19 -I${kRoot}/src -std=c++23 -o pump.o -c ${file}`;
write('build/compile_commands.json', JSON.stringify([{ directory: kRoot, command, file }]));

test('headers: one that does not compile alone is flagged until it does', () => {
  assert.match(deep('headers').stdout, /2 files checked, 0 failed/);
  assert.match(deep('headers').stdout, /0 files checked, 0 failed/);

  write('src/base/valve.h', '#pragma once\ninline Litres Flow() { return {}; }\n');
  for (let turn = 0; turn < 2; ++turn) {
    const { status, stdout } = deep('headers');
    assert.equal(status, 1);
    assert.match(stdout, /valve\.h: error: \[headers\][^]*unknown type name 'Litres'/);
    assert.match(stdout, /1 files checked, 1 failed/);
  }
  write('src/base/valve.h', '#pragma once\n#include "base/litres.h"\ninline Litres Flow() { return {}; }\n');
  assert.equal(deep('headers').status, 0);
});

test('headers: a change in what a header includes has it checked again', () => {
  write('src/base/litres.h', '#pragma once\nstruct Volume {};\n');
  const { status, stdout } = deep('headers');
  assert.equal(status, 1);
  assert.match(stdout, /pump\.h: error/);
  write('src/base/litres.h', '#pragma once\nstruct Litres {\n  int count = 0;\n};\n');
});

test('lint: clang-tidy runs with our configuration', () => {
  assert.equal(deep('lint').status, 0);
  write('src/base/pump.cc', '#include "base/pump.h"\nint Count(Litres Bad) { return Bad.count; }\n');
  const { status, stdout } = deep('lint');
  assert.equal(status, 1);
  assert.match(stdout, /invalid case style for parameter 'Bad'/);
});

test('usage: an unknown check, or a build that was never configured', () => {
  assert.equal(deep('colour').status, 2);
  rmSync(join(kRoot, 'build/compile_commands.json'));
  assert.match(deep('headers').stderr, /compile_commands\.json is missing: run scripts\/build/);
});
