// Runs the real program for tests: one-shot commands, servers with a data directory of their own,
// synthetic models made once and kept under build/.

import { spawn } from 'node:child_process';
import {
  existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const kRoot = join(dirname(fileURLToPath(import.meta.url)), '../..');
export const kProgram = process.env.PENSTOCK ?? join(kRoot, 'build/release/penstock');

// A folder that goes when the test `t` ends.
export function temporaryFolder(t) {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// The environment without our variables, so that a developer's settings do not leak into tests.
function cleanEnvironment(extra = {}) {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith('PENSTOCK'));
  return { ...Object.fromEntries(entries), ...extra };
}

// Runs `penstock ARGUMENTS` to its end: {code, signal, stdout, stderr}. Killed after `seconds`.
export function run(words, { env, cwd, seconds = 60, input } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(kProgram, words, { cwd, env: cleanEnvironment(env) });
    const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

// Asks `condition` (which may be async) until its answer is truthy, and gives that.
export async function until(what, condition, { seconds = 30 } = {}) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await pause(20);
  }
}

// The path of a synthetic model of `size` ("15m"), made at its first use.
export async function synthesise(size, flags = []) {
  const folder = join(kRoot, 'build/test-models');
  const path = join(folder, `${[size, ...flags].join('').replace(/[^\w.]+/g, '-')}.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  const made = await run(['model', 'synth', '--size', size, '--output', unfinished, ...flags]);
  if (made.code !== 0) throw new Error(`model synth failed:\n${made.stderr}`);
  renameSync(unfinished, path);
  return path;
}

// A running `penstock serve`.
export class Server {
  // Starts one that ends with the test `t`, and waits until it listens.
  static async start(t, { dataDirectory = temporaryFolder(t), flags = [], env, limit } = {}) {
    const server = new Server(dataDirectory, flags, env, limit);
    t.after(() => server.kill());
    await server.#listening();
    return server;
  }

  // `limit`: how many descriptors it may have.
  constructor(dataDirectory, flags = [], env = {}, limit = undefined) {
    this.dataDirectory = dataDirectory;
    this.log = '';
    rmSync(join(dataDirectory, 'run/url'), { force: true });
    const listen = flags.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
    const words = ['serve', '--data-dir', dataDirectory, ...listen, ...flags];
    this.process = limit === undefined ? spawn(kProgram, words, { env: cleanEnvironment(env) }) :
      spawn('prlimit', [`--nofile=${limit}`, kProgram, ...words], { env: cleanEnvironment(env) });
    this.process.stderr.setEncoding('utf8').on('data', (text) => (this.log += text));
    this.process.stdout.resume();
    this.ended = new Promise((resolve) => {
      this.process.on('close', (code, signal) => resolve({ code, signal }));
    });
  }

  async #listening() {
    const ended = this.ended.then((end) => {
      throw new Error(`serve ended at once (${JSON.stringify(end)}):\n${this.log}`);
    });
    ended.catch(() => {});
    const file = join(this.dataDirectory, 'run/url');
    const found = until('serve writes where it listens', () => existsSync(file));
    await Promise.race([found, ended]);
    this.url = readFileSync(file, 'utf8').trim();
    this.port = this.url.startsWith('unix:') ? undefined : Number(new URL(this.url).port);
    this.adminKey = readFileSync(join(this.dataDirectory, 'admin.key'), 'utf8').trim();
  }

  // {status, headers, text, json}; json is undefined where the body is none.
  async call(method, path, body, { key = this.adminKey, headers = {}, signal } = {}) {
    const response = await fetch(new URL(path, this.url), {
      method,
      signal,
      headers: {
        ...(key ? { authorization: `Bearer ${key}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: typeof body === 'string' || body === undefined || body instanceof Uint8Array ?
        body : JSON.stringify(body),
    });
    const text = await response.text();
    let json;
    try {
      json = JSON.parse(text);
    } catch {
      // Not JSON: the caller looks at the text.
    }
    return { status: response.status, headers: response.headers, text, json };
  }

  // The samples of /metrics: sums over all series of `name` whose labels include `labels`.
  async metric(name, labels = {}) {
    const { text } = await this.call('GET', '/metrics');
    let sum = 0;
    const sample = new RegExp(`^${name}(?:{(.*)})? (\\S+)$`, 'gm');
    for (const [, labelled, value] of text.matchAll(sample)) {
      const wanted = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
      if (wanted.every((pair) => labelled?.includes(pair))) sum += Number(value);
    }
    return sum;
  }

  // Registers the model file and brings an endpoint of that name to READY.
  async serveModel(name, file, { minimum = 100, maximum = 1000, seconds } = {}) {
    const flags = ['--data-dir', this.dataDirectory];
    const made = await run(['model', 'register', `main.test.${name}`, '--file', file, ...flags]);
    if (made.code !== 0) throw new Error(`model register failed:\n${made.stderr}`);
    const created = await this.createEndpoint(name, { minimum, maximum });
    if (created.status !== 200) throw new Error(`endpoint: ${created.status} ${created.text}`);
    await this.endpointReady(name, { seconds });
  }

  // Asks for endpoint `name` on the first version of main.test.NAME.
  createEndpoint(name, { minimum = 100, maximum = 1000 } = {}) {
    return this.call('POST', '/api/2.0/serving-endpoints', {
      name,
      config: {
        served_entities: [{
          entity_name: `main.test.${name}`,
          entity_version: '1',
          min_provisioned_throughput: minimum,
          max_provisioned_throughput: maximum,
        }],
      },
    });
  }

  async endpointReady(name, { seconds } = {}) {
    await until(`endpoint ${name} is ready`, async () => {
      const { json } = await this.call('GET', `/api/2.0/serving-endpoints/${name}`);
      return json?.state?.ready === 'READY';
    }, { seconds });
  }

  // Processor time of the server's own process until now.
  cpuSeconds() {
    const fields = readFileSync(`/proc/${this.process.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  // Process ids of the engines that this server runs at this moment.
  engines() {
    const tasks = `/proc/${this.process.pid}/task`;
    return readdirSync(tasks).flatMap((task) =>
      readFileSync(`${tasks}/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number));
  }

  // Where those engines listen.
  engineSockets() {
    return this.engines().flatMap((id) =>
      [...readFileSync(`/proc/${id}/cmdline`, 'utf8').matchAll(/--listen=unix:([^\0]+)/g)].map(([, path]) => path));
  }

  // Ends it in order: {code, signal}.
  stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    return this.ended;
  }

  // Ends it at once, and waits until it has.
  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}
