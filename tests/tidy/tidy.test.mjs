// Tests of the tidy test: each rule flags what it is for, and leaves sound code alone.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

import { functionsOf } from './functions.mjs';
import { allowedFolders } from './layers.mjs';
import { blankCommentsAndLiterals } from './source.mjs';
import { tidy } from './tidy.mjs';

const kGood = {
  '.clang-format': readFileSync(new URL('../../.clang-format', import.meta.url), 'utf8'),
  'src/io/README.md': '# io\n',
  'src/io/CMakeLists.txt': 'penstock_library(penstock_io\n  SOURCES pump.cc\n  LINK penstock_base)\n',
  'src/io/pump.h': [
    '// Pump: moves water.',
    '#pragma once',
    '',
    'namespace penstock::io {',
    '',
    'class Pump {',
    ' public:',
    '  Pump() = default;',
    '  Pump(const Pump&) = delete;',
    '  int litres() const { return litres_; }',
    '',
    ' private:',
    '  int litres_ = 0;',
    '};',
    '',
    '}  // namespace penstock::io',
    '',
  ].join('\n'),
  'src/io/pump.cc': '#include "io/pump.h"\n',
};

// What tidy says of the good tree with `files` laid over it (undefined removes one).
function judge(files) {
  const root = mkdtempSync(join(tmpdir(), 'penstock-tidy-'));
  try {
    for (const [path, text] of Object.entries({ ...kGood, ...files })) {
      if (text === undefined) continue;
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return tidy(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

// src/io/pump.cc with `code` in a function.
const inFunction = (code) => ({
  'src/io/pump.cc': `#include "io/pump.h"\n\nvoid F() {\n  ${code}\n}\n`,
});
const manyLines = (count) => '  ++x;\n'.repeat(count);
const unlabelled = `// ${'TO'}DO: later`;

// [the rule, what breaks it, the line of the complaint where that matters]
const kBad = [
  ['detached', inFunction('thread.detach();'), 4],
  ['detached', inFunction('Spawn(detached);'), 4],
  ['use-future', inFunction('Get(asio::use_future);'), 4],
  ['sleep', inFunction('std::this_thread::sleep_for(delay);'), 4],
  ['regex', inFunction('std::regex pattern("a");'), 4],
  ['using-namespace', { 'src/io/pump.cc': '#include "io/pump.h"\n\nusing namespace std;\n' }, 3],
  ['naked-new', inFunction('auto* p = new int(3);'), 4],
  ['naked-delete', inFunction('delete p;'), 4],
  ['capturing-coroutine', inFunction('auto f = [&x](int y) -> Task<void> { co_return; };'), 4],
  ['function-length', inFunction(`int x = 0;\n${manyLines(68)}`), 3],
  ['file-length', { 'src/io/pump.cc': '#include "io/pump.h"\n' + '// Water.\n'.repeat(500) }],
  ['pragma-once', { 'src/io/pump.h': '// Pump: moves water.\n' }],
  ['opening', { 'src/io/pump.h': '#pragma once\n' }],
  ['opening', { 'src/io/other.cc': '#include "io/pump.h"\n' }],
  ['todo', inFunction(unlabelled), 4],
  ['todo', { 'scripts/build': `#!/bin/sh\n# ${'FIX'}ME\n` }, 2],
  ['white-space', { 'src/io/README.md': '# io \n' }, 1],
  ['white-space', { 'src/io/README.md': '# io' }, 1],
  ['layers', { 'src/io/pump.cc': '#include "http/server.h"\n#include "io/pump.h"\n' }, 1],
  ['layers', { 'src/bench/judge/a.cc': '// A.\n#include "bench/drive/driver.h"\n' }, 2],
  ['layers', { 'src/cellar/wine.h': '// Wine.\n#pragma once\n' }],
  ['reserved', { 'src/http/a.cc': '// A.\n#include <sys/socket.h>\n' }, 2],
  ['reserved', { 'src/gateway/a.cc': '// A.\n#include <llama.h>\n' }, 2],
  ['reserved', { 'src/http/a.h': '// A.\n#pragma once\n#include <boost/beast/http.hpp>\n' }, 3],
  ['pure', { 'src/policy/a.h': '// A.\n#pragma once\n#include <mutex>\n' }, 3],
  ['pure', { 'src/policy/a.cc': '// A.\nconst auto kNow = Clock::now();\n' }, 2],
  ['readme', { 'src/io/README.md': undefined }],
  ['unlinked', { 'src/io/CMakeLists.txt': '# pump.cc\n' }],
  ['unlinked', { 'src/io/pump.cc': '' }],
  ['format', inFunction('int  x=1;')],
  ['shellcheck', { 'scripts/build': '#!/usr/bin/env bash\ncd $1\n' }],
];

const errorsOf = (complaints) => complaints.filter(({ advice }) => !advice);

test('a sound tree gets no complaint', () => {
  assert.deepEqual(judge({}), []);
});

for (const [rule, files, line] of kBad) {
  test(`${rule} is flagged: ${JSON.stringify(Object.values(files)[0] ?? 'a missing file').slice(0, 60)}`, () => {
    const found = errorsOf(judge(files)).filter((complaint) => complaint.rule === rule);
    assert.notEqual(found.length, 0);
    if (line) assert.equal(found[0].line, line);
  });
}

test('comments and literals may name what code may not', () => {
  const complaints = judge(inFunction('Say("new detached", R"(std::regex)");  // delete new'));
  assert.deepEqual(complaints.map(({ rule }) => rule), []);
});

test('what a unique_ptr takes at once is not naked', () => {
  const complaints = judge(inFunction('auto p = std::unique_ptr<Pump>(new Pump(3));'));
  assert.ok(!complaints.some(({ rule }) => rule === 'naked-new'));
});

test('a reasoned excuse is heard, one without a reason is not', () => {
  const excused = '// tidy: allow(naked-new): the library takes ownership.\n  Take(new int(3));';
  assert.deepEqual(judge(inFunction(excused)), []);
  const bare = '// tidy: allow(naked-new):\n  Take(new int(3));';
  assert.ok(judge(inFunction(bare)).some(({ rule }) => rule === 'naked-new'));
});

test('a long file under the limit gets advice only', () => {
  const complaints = judge({ 'src/io/pump.cc': '#include "io/pump.h"\n' + '// Water.\n'.repeat(320) });
  assert.deepEqual(complaints.map(({ rule, advice }) => [rule, advice]), [['file-length', true]]);
});

test('functions are found with their lengths', () => {
  const code = blankCommentsAndLiterals(`
#define X(a) { \\
  a }
namespace penstock {
const std::map<int, int> kTable = {{1, 2}, {3, f(4)}};
enum class Kind { kA, kB };
struct Options {
  int x{3};
  std::vector<int> y = {1, 2};
};
Pump::Pump(Options options) noexcept
    : x_{options.x}, y_(options.y) {
  Start("}");  // }
}
class Valve final : public Part {
 public:
  explicit Valve(Options options = {}) : open_(true) {}
  bool open() const override {
    return [this] { return open_; }();
  }
};
template <typename T>
T Twice(T x)
  requires(sizeof(T) > 1)
{
  return x * 2'000;
}
}  // namespace penstock
TEST(Pump, Pumps) {
  EXPECT_EQ(1, 1);
}
`);
  assert.deepEqual(functionsOf(code).map(({ line, length, name }) => [line, length, name]), [
    [11, 4, 'Pump::Pump'],
    [17, 1, 'Valve'],
    [18, 3, 'open'],
    [22, 6, 'Twice'],
    [29, 3, 'TEST(Pump, Pumps)'],
  ]);
});

test('blanking keeps every position', () => {
  const text = 'a("x\\"y", \'"\', 1\'000) /* "b */ R"x(c)" )x" // d\ne';
  const code = blankCommentsAndLiterals(text);
  assert.equal(code.length, text.length);
  assert.equal(code, `a("    ", ' ', 1'000) ${' '.repeat(8)} R"${' '.repeat(8)}" ${' '.repeat(4)}\ne`);
});

test('a folder may include what its links may include', () => {
  assert.deepEqual([...allowedFolders('gateway')].sort(),
      ['api', 'base', 'gateway', 'http', 'io', 'meter', 'policy']);
  // A private link is the folder's own: the ledger's store is not the gateway's.
  assert.ok(allowedFolders('meter').has('store'));
});
