// The part of the tidy test that needs the compiler:
//
//   node tests/tidy/deep.mjs headers|lint BUILD [ROOT]
//
// `headers` compiles each header alone; `lint` runs clang-tidy over the sources, tests left out, of the
// folders that meet bytes from strangers (kLintFolders), so that a clean clone is done in minutes.
// PENSTOCK_LINT=all lints every folder. Both use the flags of BUILD/compile_commands.json and skip
// what passed before and has not changed since.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { checkChanged, compileFlags, flagsNear } from './compiled.mjs';
import { isTest } from './layers.mjs';
import { listFiles } from './source.mjs';

// Warnings that make sense for a translation unit, not for a header on its own.
const kHeaderFlags = ['-Werror', '-Wno-pragma-once-outside-header', '-Wno-unused'];

const kLintFolders = ['base', 'io', 'policy', 'meter', 'gateway', 'http'];

// Those of `paths` that are linted by default, or all of them.
function partOf(paths) {
  if (process.env.PENSTOCK_LINT === 'all') return paths;
  return paths.filter((path) => kLintFolders.some((folder) => path.startsWith(`src/${folder}/`)));
}

// Each returns {paths, commandFor, salt}.
const kChecks = {
  headers(root, build) {
    const flags = compileFlags(root, build);
    const commandFor = (path) =>
      ['clang++-19', '-fsyntax-only', ...flagsNear(flags, path), ...kHeaderFlags, '-x', 'c++', path];
    const paths = listFiles(root, ['src', 'tests', 'benchmarks']).filter((path) => /\.h$/.test(path));
    return { paths, commandFor, salt: '' };
  },
  lint(root, build) {
    // Tests are left to the compiler's warnings: linting them would double the time.
    const paths = partOf([...compileFlags(root, build).keys()].filter((path) => !isTest(path)));
    const commandFor = (path) => ['clang-tidy-19', '--quiet', '-p', build, path];
    return { paths, commandFor, salt: readFileSync(join(root, '.clang-tidy'), 'utf8') };
  },
};

async function main() {
  const here = dirname(fileURLToPath(import.meta.url));
  const [kind, build_argument, root_argument] = process.argv.slice(2);
  if (!(kind in kChecks) || !build_argument) {
    console.error('usage: node tests/tidy/deep.mjs headers|lint BUILD [ROOT]');
    process.exitCode = 2;
    return;
  }
  const root = resolve(root_argument ?? join(here, '../..'));
  const build = resolve(build_argument);
  const { checked, failures } = await checkChanged({
    root,
    ...kChecks[kind](root, build),
    memory: join(build, 'tidy', `${kind}.json`),
    jobs: availableParallelism(),
  });
  for (const { path, output } of failures) {
    console.log(`${path}: error: [${kind}]\n${output.replace(/^\d+ warnings.*\n/gm, '')}`);
  }
  console.log(`${kind}: ${checked} files checked, ${failures.length} failed`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

await main();
