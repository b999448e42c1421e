// The tidy test: holds every file of the tree to the rules of CONTRIBUTING.md.
//
//   node tests/tidy/tidy.mjs [ROOT]
//
// Prints one line for each complaint and ends with 1 where there is any. Advice does not count.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { checkCpp, checkText } from './rules.mjs';
import { isCpp, listFiles, readCpp } from './source.mjs';
import { checkTree } from './tree.mjs';

const kFolders = ['.'];
const kText = /\.(md|mjs|cmake|sh|txt|ya?ml)$|\/(setup|build|demo|test|run)$/;
const kGenerated = /^tests\/golden\/|package-lock\.json$/;

// Runs a checker over `paths` at once. Its output is the complaint, or `shorten` of it.
function runChecker(root, rule, command, paths, shorten = (output) => [`\n${output.trimEnd()}`]) {
  if (paths.length === 0) return [];
  const [program, ...flags] = command;
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 };
  const { error, status, stdout, stderr } = spawnSync(program, [...flags, ...paths], options);
  const complaint = (message) => ({ path: program, line: 1, rule, message });
  if (error) return [complaint(`cannot run: ${error.message}`)];
  return status === 0 ? [] : shorten(stdout + stderr).map(complaint);
}

// clang-format's complaints, one for each file.
function unformatted(output) {
  const paths = new Set([...output.matchAll(/^(\S+?):\d+:\d+: error/gm)].map((match) => match[1]));
  return [...paths].map((path) => `${path} is not formatted: clang-format-19 -i ${path}`);
}

function isBash(root, path) {
  return /^#!.*\bbash\b/.test(readFileSync(join(root, path), 'latin1').slice(0, 40)) ||
    path.endsWith('.sh');
}

// All complaints about the tree at `root`: [{path, line, rule, message, advice?}].
export function tidy(root) {
  const paths = listFiles(root, kFolders).filter((path) => !kGenerated.test(path));
  const sources = paths.filter(isCpp);
  const files = sources.map((path) => readCpp(root, path));
  const at = (path) => (complaint) => ({ path, ...complaint });
  return [
    ...files.flatMap((file) => checkCpp(file).map(at(file.path))),
    ...paths.filter((path) => kText.test(path)).flatMap((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      return checkText({ path, text, lines: text.split('\n') }).map(at(path));
    }),
    ...checkTree(root, files),
    ...runChecker(root, 'format', ['clang-format-19', '--dry-run', '--Werror'], sources, unformatted),
    ...runChecker(root, 'shellcheck', ['shellcheck'], paths.filter((path) => isBash(root, path))),
  ];
}

function main() {
  const here = dirname(fileURLToPath(import.meta.url));
  const complaints = tidy(resolve(process.argv[2] ?? join(here, '../..')));
  for (const { path, line, rule, message, advice } of complaints) {
    console.log(`${path}:${line}: ${advice ? 'advice' : 'error'}: [${rule}] ${message}`);
  }
  const errors = complaints.filter(({ advice }) => !advice).length;
  console.log(`tidy: ${errors} errors, ${complaints.length - errors} pieces of advice`);
  process.exitCode = errors > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
