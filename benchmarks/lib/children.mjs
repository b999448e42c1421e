// The programs that a benchmark starts: pinned to a core where asked, and never left behind.

import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {setTimeout as pause} from 'node:timers/promises';

const children = new Set();
const folders = new Set();

// A folder that is removed when the benchmark ends.
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-benchmark-'));
  folders.add(folder);
  return folder;
}

function cleanUp() {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, {recursive: true, force: true});
}
process.on('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(3));

// Ends the benchmark with code 2 if it runs longer than `seconds`: a hang must not look like work.
export function limitTime(seconds) {
  setTimeout(() => {
    console.error(`gave up after ${seconds} s`);
    process.exit(2);
  }, seconds * 1000).unref();
}

// Starts `program`, on core `core` if given. It dies with us, however we die. {pid, lines, stop(),
// ended}: `lines` is an async iterator over its stdout, `errors()` what it has said on stderr.
export function start(program, args, {core, env, input = false} = {}) {
  const words = ['--pdeathsig', 'KILL', '--'];
  if (core !== undefined) words.push('taskset', '-c', String(core));
  const child = spawn('setpriv', [...words, program, ...args], {
    env: {...process.env, ...env},
    stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  let said = '';
  child.stderr.on('data', (bytes) => {
    said = (said + bytes).slice(-16384);
  });
  const ended = once(child, 'exit').then(([code, signal]) => {
    children.delete(child);
    return {code, signal};
  });
  return {
    pid: child.pid,
    child,
    lines: createInterface({input: child.stdout})[Symbol.asyncIterator](),
    errors: () => said,
    // Resolves once stderr matches `pattern`; throws where the program ends before that.
    async hasSaid(pattern) {
      while (!pattern.test(said)) {
        if (!children.has(child)) throw new Error(`${program} ended early: ${said}`);
        await pause(10);
      }
    },
    ended,
    async stop(signal = 'SIGTERM', patience_ms = 5000) {
      if (!children.has(child)) return;
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), patience_ms);
      await ended;
      clearTimeout(timer);
    },
  };
}

// Runs `program` to its end and returns its stdout; throws with its stderr where it fails.
export async function run(program, args, options) {
  const started = start(program, args, options);
  const output = [];
  for await (const line of started.lines) output.push(line);
  const {code, signal} = await started.ended;
  if (code !== 0) throw new Error(`${program} ended with ${signal ?? code}: ${started.errors()}`);
  return output.join('\n');
}
