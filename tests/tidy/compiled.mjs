// Checks that need the compiler, many files at once, each file only when it or something it
// includes has changed since it last passed.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { includesOf, readCpp } from './source.mjs';

// Reads compile_commands.json of `build`: a map from a source's path below `root` to its flags,
// without compiler, input and output.
export function compileFlags(root, build) {
  const database = join(build, 'compile_commands.json');
  if (!existsSync(database)) throw new Error(`${database} is missing: run scripts/build first`);
  const flags = new Map();
  for (const { file, command } of JSON.parse(readFileSync(database, 'utf8'))) {
    if (!file.startsWith(`${root}/`)) continue;
    const words = command.match(/(?:[^\s"\\]|\\.|"(?:[^"\\]|\\.)*")+/g)
        .map((word) => word.replace(/\\(.)|"/g, '$1'));
    const first = words.findIndex((word) => word.startsWith('-'));
    const kept = [];
    for (let i = first; i < words.length; ++i) {
      if (words[i] === '-o') ++i;
      else if (words[i] !== '-c' && words[i] !== file) kept.push(words[i]);
    }
    flags.set(file.slice(root.length + 1), kept);
  }
  return flags;
}

// Flags for a file that is not compiled itself: those of a neighbour, else of anyone.
export function flagsNear(flags, path) {
  if (flags.has(path)) return flags.get(path);
  for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
    for (const [other, found] of flags) {
      if (other.startsWith(`${folder}/`)) return found;
    }
  }
  return [...flags.values()][0] ?? [];
}

// Hashes a file together with all of ours that it includes, directly or not.
export class ContentHasher {
  #root;
  #files = new Map();

  constructor(root) {
    this.#root = root;
  }

  // `salt` stands for everything else that decides the outcome.
  hash(path, salt) {
    const seen = new Set();
    const hash = createHash('sha256').update(salt);
    const visit = (current) => {
      if (seen.has(current)) return;
      seen.add(current);
      const { text, includes } = this.#read(current);
      hash.update(current).update('\0').update(text);
      includes.forEach(visit);
    };
    visit(path);
    return hash.digest('hex');
  }

  #read(path) {
    let found = this.#files.get(path);
    if (!found) {
      const file = readCpp(this.#root, path);
      const includes = includesOf(file)
          .flatMap((include) => [join('src', include.path), join(dirname(path), include.path)])
          .filter((candidate) => existsSync(join(this.#root, candidate)));
      found = { text: file.text, includes: includes.sort() };
      this.#files.set(path, found);
    }
    return found;
  }
}

function run(command, cwd) {
  return new Promise((resolve) => {
    const [program, ...words] = command;
    const child = spawn(program, words, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', (error) => resolve({ status: 1, output: `${program}: ${error.message}` }));
    child.on('close', (status) => resolve({ status, output }));
  });
}

// Runs `commandFor(path)` for each of `paths` whose inputs changed since it passed, `jobs` at a time.
// `memory` is the file that remembers. Returns {checked, failures: [{path, output}]}.
export async function checkChanged({ root, paths, commandFor, salt, memory, jobs }) {
  const passed = existsSync(memory) ? JSON.parse(readFileSync(memory, 'utf8')) : {};
  const hasher = new ContentHasher(root);
  const waiting = paths
      .map((path) => ({ path, command: commandFor(path) }))
      .map((job) => ({ ...job, hash: hasher.hash(job.path, `${salt}\0${job.command.join('\0')}`) }))
      .filter(({ path, hash }) => passed[path] !== hash);
  const checked = waiting.length;
  const failures = [];
  const remember = () => {
    mkdirSync(dirname(memory), { recursive: true });
    writeFileSync(memory, JSON.stringify(passed, null, 1));
  };
  const worker = async () => {
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      const { status, output } = await run(job.command, root);
      if (status === 0) passed[job.path] = job.hash;
      else failures.push({ path: job.path, output });
      remember();
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return { checked, failures };
}
