// Trials of the ledger: load through a gateway while gateway, model server and clients are killed at
// random moments; then every request that a client sent is compared with what the ledger bills.
//
// The count of what was delivered is the clients' own: they count the tokens that reached them.

import {spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import http from 'node:http';
import {dirname, join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';

import {start} from './children.mjs';

const kSource = join(dirname(fileURLToPath(import.meta.url)), 'ledger_source.mjs');

// Deterministic, so that a seed tells a run (the moments of processes aside).
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function freePort() {
  return new Promise((done) => {
    const server = http.createServer().listen(0, '127.0.0.1', () => {
      const {port} = server.address();
      server.close(() => done(port));
    });
  });
}

// The gateway or the model server, which can be killed and started again on its port.
class Victim {
  constructor(name, launch, isReady) {
    this.name = name;
    this.launch = launch;
    this.isReady = isReady;
  }

  async begin() {
    this.process = this.launch();
    const end = Date.now() + 20000;
    while (!(await this.isReady())) {
      if (Date.now() > end) throw new Error(`${this.name}: not ready: ${this.process.errors()}`);
      await pause(3);
    }
  }

  async killAndRestart() {
    await this.process.stop('SIGKILL');
    await this.begin();
  }
}

function answers(port, path) {
  return new Promise((done) => {
    const request = http.get({host: '127.0.0.1', port, path, agent: false}, (response) => {
      response.resume().on('end', () => done(response.statusCode === 200));
    });
    request.on('error', () => done(false));
  });
}

// Sends one request and writes into `note` what became of it, seen from the client.
function ask(note, {port, key, agent, leaveAfter}) {
  const body = JSON.stringify({
    model: 'trial',
    messages: [{role: 'user', content: 'x'}],
    max_tokens: note.tokens,
    stream: note.stream,
    client_request_id: note.id,
  });
  return new Promise((done) => {
    const request = http.request(
        {
          host: '127.0.0.1',
          port,
          path: '/v1/chat/completions',
          method: 'POST',
          agent,
          headers: {authorization: `Bearer ${key}`, 'content-type': 'application/json'},
        },
        (response) => {
          note.status = response.statusCode;
          let text = '';
          response.setEncoding('utf8').on('data', (piece) => {
            text += piece;
            if (!note.stream) return;
            note.got = text.split('"content":"t"').length - 1;
            note.whole ||= text.includes('data: [DONE]');
            note.failed ||= text.includes('"error"');
            if (leaveAfter !== undefined && note.got >= leaveAfter && !note.whole) {
              note.left = true;
              request.destroy();
            }
          });
          response.on('end', () => {
            if (!note.stream && response.statusCode === 200) {
              note.got = JSON.parse(text).usage.completion_tokens;
              note.whole = true;
            }
          });
          response.on('close', done);
          response.on('error', () => {});
        });
    request.on('error', done);
    request.setTimeout(20000, () => request.destroy());
    request.end(body);
  });
}

async function client(run) {
  const agent = new http.Agent({keepAlive: true, maxSockets: 1});
  while (!run.over) {
    const note = {
      id: `r${run.notes.length}`,
      stream: run.random() < 0.8,
      tokens: 1 + Math.floor(run.random() * 40),
      got: 0,
      whole: false,
      life: run.life,
    };
    run.notes.push(note);
    const leaves = note.stream && run.random() < 0.1;
    await ask(note, {
      ...run,
      agent,
      leaveAfter: leaves ? 1 + Math.floor(run.random() * note.tokens) : undefined,
    });
    if (note.status === undefined) await pause(10);  // Nobody is listening.
  }
  agent.destroy();
}

// What the ledger says, by client_request_id: a list each.
function readLedger(program, folder) {
  const words = ['usage', 'records', '--data-dir', folder, '--format', 'jsonl', '--from', '1h'];
  const {status, stdout, stderr} =
      spawnSync(program, words, {encoding: 'utf8', maxBuffer: 2 ** 30});
  if (status !== 0) throw new Error(`penstock usage failed: ${stderr}`);
  const records = new Map();
  for (const line of stdout.split('\n')) {
    if (line === '') continue;
    const record = JSON.parse(line);
    const list = records.get(record.client_request_id) ?? [];
    records.set(record.client_request_id, [...list, record]);
  }
  return records;
}

// Where client and ledger disagree, as texts; and the sums.
export function compare(notes, records) {
  const wrong = [];
  const sums = {
    requests: notes.length,
    delivered: 0,
    delivered_tokens: 0,
    billed_tokens: 0,
    left: 0,
    cut: 0,
    cut_billed: 0,
  };
  const ids = new Set(notes.map((note) => note.id));
  for (const [id, list] of records) {
    // A request that did not arrive whole has no name, and costs nothing.
    const nameless = id === '' && list.every((record) => record.source === 'none');
    if (!ids.has(id) && !nameless) wrong.push(`'${id}': billed, and never sent`);
  }
  for (const note of notes) {
    const list = records.get(note.id) ?? [];
    const say = (what) => wrong.push(`${note.id}: ${what}: ${JSON.stringify({note, list})}`);
    if (list.length > 1) say('billed twice');
    const [record] = list;
    if (note.whole) {
      ++sums.delivered;
      sums.delivered_tokens += note.got;
      sums.billed_tokens += record?.output_tokens ?? 0;
      if (!record) say('delivered, and not billed');
      else if (record.output_tokens !== note.got) say('billed another number');
      else if (record.end !== 'completed') say('delivered, and not completed');
    } else if (note.left) {
      ++sums.left;
      if (note.outlived && !record) say('left, and not billed');
      if (record && (record.output_tokens < note.got || record.output_tokens > note.tokens)) {
        say('billed for what was not produced');
      }
    } else {
      ++sums.cut;
      if (!record) continue;
      ++sums.cut_billed;
      if (record.output_tokens < note.got || record.output_tokens > note.tokens) {
        say('cut, and billed for what was not produced');
      }
    }
  }
  return {wrong, sums};
}

// `kills` times kills something under the load of `clients`. {wrong, sums, killed, agree}.
export async function runKills({program, folder, kills, clients = 16, seed = 1, threads = 2}) {
  const port = await freePort();
  const source_port = await freePort();
  const source = new Victim(
      'model server', () => start(process.execPath, [kSource, String(source_port)]),
      () => answers(source_port, '/'));
  const gateway = new Victim(
      'gateway',
      () => start(program, [
        'serve', `--data-dir=${folder}`, `--listen=127.0.0.1:${port}`, `--io-threads=${threads}`,
        `--static-endpoint=trial=http://127.0.0.1:${source_port}`, '--log-level=error'
      ]),
      () => answers(port, '/-/ready'));
  await source.begin();
  await gateway.begin();
  const random = randomOf(seed);
  const key = readFileSync(join(folder, 'admin.key'), 'utf8').trim();
  const run = {port, key, random, notes: [], over: false, life: 0};
  const working = Array.from({length: clients}, () => client(run));
  const killed = {gateway: 0, source: 0};
  for (let i = 0; i < kills; ++i) {
    await pause(30 + random() * 250);
    if (random() < 0.75) {
      ++killed.gateway;
      ++run.life;
      await gateway.killAndRestart();
    } else {
      ++killed.source;
      await source.killAndRestart();
    }
  }
  await pause(200);
  run.over = true;
  await Promise.all(working);
  await gateway.process.stop('SIGTERM', 30000);
  await source.process.stop('SIGKILL');
  // Who left in a life that no kill ended must be billed.
  for (const note of run.notes) note.outlived = note.left && note.life === run.life;
  const result = compare(run.notes, readLedger(program, folder));
  const check = spawnSync(program, ['usage', 'check', '--data-dir', folder], {encoding: 'utf8'});
  return {...result, killed, agree: check.status === 0, check: check.stdout + check.stderr};
}
