// The rules about the tree as a whole: each folder tells what it is, and no source is left out of
// the build.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { includesOf } from './source.mjs';

// Complaints [{path, line, rule, message}]. `files` are readCpp()'s.
export function checkTree(root, files) {
  return [
    ...missingReadmes(root, files),
    ...missingOpenings(files),
    ...unlinkedSources(root, files),
    ...unusedHeaders(files),
  ];
}

function missingReadmes(root, files) {
  const folders = new Set(files.map(({ path }) => /^src\/[^/]+/.exec(path)?.[0]).filter(Boolean));
  return [...folders].filter((folder) => !existsSync(join(root, folder, 'README.md')))
      .map((folder) => ({
        path: `${folder}/README.md`,
        line: 1,
        rule: 'readme',
        message: 'missing: say what the folder is for and what it must not know',
      }));
}

// A file opens by saying what it is. Where x.h does, x.cc and its tests need not say it again.
function missingOpenings(files) {
  const paths = new Set(files.map(({ path }) => path));
  const header = (path) => path.replace(/(_test|_benchmark|_fuzz)?\.cc$/, '.h');
  return files
      .filter(({ path, text }) => !/^\/\/ \S/.test(text) &&
          (path.endsWith('.h') || !paths.has(header(path))))
      .map(({ path }) => ({
        path,
        line: 1,
        rule: 'opening',
        message: 'begin with one sentence in //: what this file is',
      }));
}

// Every .cc must be named by the nearest CMakeLists.txt above it.
function unlinkedSources(root, files) {
  return files.filter(({ path }) => path.endsWith('.cc') && !isNamed(root, path))
      .map(({ path }) => ({
        path,
        line: 1,
        rule: 'unlinked',
        message: 'no CMakeLists.txt names this file, so nothing builds it',
      }));
}

function isNamed(root, path) {
  for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
    const list = join(root, folder, 'CMakeLists.txt');
    if (!existsSync(list)) continue;
    const words = readFileSync(list, 'utf8').replace(/#.*$/gm, '').split(/[\s()"]+/);
    return words.includes(relative(folder, path));
  }
  return false;
}

function unusedHeaders(files) {
  const included = new Set();
  for (const file of files) {
    for (const { path } of includesOf(file)) {
      included.add(join('src', path));
      included.add(join(dirname(file.path), path));
    }
  }
  return files.filter(({ path }) => path.endsWith('.h') && !included.has(path))
      .map(({ path }) => ({ path, line: 1, rule: 'unlinked', message: 'nothing includes this header' }));
}
