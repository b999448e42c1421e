// kill -9 at random moments of random histories of creations, updates, deletions and scalings: what was
// acknowledged is there, nothing else is, no replica is left over, and states converge.
//
// Odd seeds run real engines as processes, even ones replicas that outlive the server (an exec hook,
// whose engines are fakes). PENSTOCK_CRASH_HISTORIES=200 plays more; PENSTOCK_CRASH_SEEDS=7 or 51-100 these.
// Histories wait for most of their time, so PENSTOCK_CRASH_AT_ONCE (4) of them play side by side.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { Server, kProgram, run, synthesise, temporaryFolder, until } from '../support/penstock.mjs';

const kHistories = Number(process.env.PENSTOCK_CRASH_HISTORIES ?? 4);
const kAtOnce = Number(process.env.PENSTOCK_CRASH_AT_ONCE ?? 4);
const kRounds = 4;
// Engines' threads wait for each other by spinning: seven of them that start at once on two cores
// would take ten seconds, which test nothing.
const kEngineFlags = ['--engine-threads', '1', '--engine-parallel', '2'];
const kNames = ['a', 'b', 'c'];
const kRoot = '/api/2.0/serving-endpoints';
const kFakeEngine = join(dirname(kProgram), 'src/control/fake_engine');

// Mulberry32: the same sequence for the same seed.
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Processes whose command line has this text.
function processesOf(text) {
  return readdirSync('/proc').filter((id) => /^\d+$/.test(id)).filter((id) => {
    try {
      return readFileSync(`/proc/${id}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;  // It has just ended.
    }
  });
}

// A data directory with a model and its calibration, so that ranges need several replicas.
const template = {};
const afters = [];
before(async () => {
  const scope = { after: (end) => afters.push(end) };
  const server = await Server.start(scope, { flags: kEngineFlags });
  const made = await server.call('POST', '/api/2.1/unity-catalog/models',
    { name: 'main.test.m', source: await synthesise('toy') });
  assert.equal(made.status, 200, made.text);
  const measured = await run(['model', 'calibrate', 'main.test.m', '--length', 'quick', '--data-dir', server.dataDirectory],
    { seconds: 240 });
  assert.equal(measured.code, 0, measured.stderr);
  const { json } = await server.call('GET', `${kRoot}/get-model-optimization-info/main.test.m/1`);
  await server.stop();
  Object.assign(template, { path: server.dataDirectory, chunk: json.throughput_chunk_size });
});
after(async () => {
  for (const end of afters.reverse()) await end();
});

// Fake engines, one file each: PID -> its place and address. They do not end with their server.
const hookText = (folder) => `#!/bin/bash
dir=${folder}/state; mkdir -p "$dir"
case "$1" in
  start)
    socket=$dir/$2.$RANDOM.sock
    setsid ${kFakeEngine} "unix:$socket" ok >/dev/null 2>&1 &
    echo "$2 unix:$socket" > "$dir/$!.new"; mv "$dir/$!.new" "$dir/$!.pid"; echo $! ;;
  stop) kill -9 "$2" 2>/dev/null; true ;;
  list)
    for file in "$dir"/*.pid; do
      [ -e "$file" ] || continue
      id=$(basename "$file" .pid); read -r place address < "$file"
      if kill -0 "$id" 2>/dev/null; then echo "$id $place running $address"
      else echo "$id $place ended"; rm -f "$file"; fi
    done; true ;;
esac
`;

// Where replicas run: {flags, count(server): how many live, quiet(): waits until none outlives its server}.
function fleetOf(t, seed, dataDirectory) {
  if (seed % 2 === 1) {
    return { flags: kEngineFlags, count: (server) => server.engines().length,
      quiet: () => until('no engine outlives its server', () => processesOf(dataDirectory).length === 0) };
  }
  assert.ok(existsSync(kFakeEngine), `${kFakeEngine} is missing: build it (target fake_engine)`);
  const folder = temporaryFolder(t);
  const hook = join(folder, 'hook');
  writeFileSync(hook, hookText(folder), { mode: 0o700 });
  const living = () => processesOf(join(folder, 'state/')).filter((id) => {
    try {
      return readFileSync(`/proc/${id}/comm`, 'utf8').startsWith('fake_engine');
    } catch {
      return false;
    }
  });
  t.after(() => living().forEach((id) => process.kill(Number(id), 'SIGKILL')));
  return { flags: [...kEngineFlags, '--fleet', 'exec', '--fleet-hook', hook], count: () => living().length, quiet: async () => {} };
}

const configOf = (chunks) => ({
  served_entities: [{
    entity_name: 'main.test.m', entity_version: '1',
    min_provisioned_throughput: chunks * template.chunk, max_provisioned_throughput: chunks * template.chunk,
  }],
});
const chunksOf = ({ served_entities: [entity] }) => entity.max_provisioned_throughput / template.chunk;

// One change; true when it was acknowledged. `known`: name -> chunks, or undefined where there is no such
// endpoint; `open`: what a change that was not answered may have left.
async function change(server, random, known, open) {
  const name = kNames[Math.floor(random() * kNames.length)];
  const chunks = 1 + Math.floor(random() * 9);  // Up to three replicas.
  let call;
  let wanted;
  if (known.get(name) === undefined) {
    call = ['POST', kRoot, { name, config: configOf(chunks) }];
    wanted = chunks;
  } else if (random() < 0.3) {
    call = ['DELETE', `${kRoot}/${name}`];
  } else {
    call = ['PUT', `${kRoot}/${name}/config`, configOf(chunks)];
    wanted = chunks;
  }
  open.set(name, wanted);
  const { status } = await server.call(...call);
  open.delete(name);
  if (status === 200) {
    if (wanted === undefined) known.delete(name);
    else known.set(name, wanted);
  } else {
    assert.equal(status, 409, 'only an update that is under way refuses another');
    await pause(10);
  }
}

// What stands there is what was acknowledged, or what was asked for and not answered.
async function check(server, known, open) {
  const { status, json, text } = await server.call('GET', kRoot);
  assert.equal(status, 200, text);
  const found = new Map();
  for (const { name } of json.endpoints) {
    const { json: one } = await server.call('GET', `${kRoot}/${name}`);
    found.set(name, chunksOf(one.pending_config ?? one.config));
  }
  for (const name of kNames) {
    const either = open.has(name) ? [known.get(name), open.get(name)] : [known.get(name)];
    assert.ok(either.includes(found.get(name)), `${name}: ${found.get(name)}, acknowledged ${either}`);
    if (found.has(name)) known.set(name, found.get(name));
    else known.delete(name);
  }
}

// All is ready, and as many replicas live as are wanted: none too few, none left over.
async function converge(server, known, fleet) {
  let wanted = 0;
  for (const name of known.keys()) {
    const entity = await until(`${name} converges`, async () => {
      const { json: one } = await server.call('GET', `${kRoot}/${name}`);
      const [first] = one.config?.served_entities ?? [];
      return one.state.ready === 'READY' && one.state.config_update === 'NOT_UPDATING' &&
        first.replicas_ready === first.replicas_wanted && first;
    }, { seconds: 60 });
    wanted += entity.replicas_wanted;
  }
  let count;
  await until('as many replicas as are wanted', () => (count = fleet.count(server)) === wanted, { seconds: 60 })
    .catch((error) => assert.fail(`${error.message}: ${count} live, ${wanted} are wanted`));
}

async function play(t, seed) {
  const random = randomOf(seed);
  const dataDirectory = temporaryFolder(t);
  cpSync(template.path, dataDirectory, { recursive: true });
  const fleet = fleetOf(t, seed, dataDirectory);
  const known = new Map();
  let server = await Server.start(t, { dataDirectory, flags: fleet.flags });
  for (let round = 0; round < kRounds; ++round) {
    const open = new Map();
    const end = pause(Math.floor(random() * 600)).then(() => server.kill());
    try {
      for (;;) await change(server, random, known, open);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;  // Else: it was killed.
    }
    await end;
    await fleet.quiet();
    server = await Server.start(t, { dataDirectory, flags: fleet.flags });
    await check(server, known, open);
  }
  await converge(server, known, fleet);
  for (const name of known.keys()) assert.equal((await server.call('DELETE', `${kRoot}/${name}`)).status, 200);
  await until('no replica is left', () => fleet.count(server) === 0, { seconds: 60 });
  const whole = execFileSync('sqlite3', [join(dataDirectory, 'penstock.db'), 'pragma integrity_check'], { encoding: 'utf8' });
  assert.equal(whole.trim(), 'ok');
  await server.stop();
}

const [first, last] = (process.env.PENSTOCK_CRASH_SEEDS ?? `1-${kHistories}`).split('-').map(Number);
describe('kill -9 at random moments', { concurrency: kAtOnce }, () => {
  for (let seed = first; seed <= (last ?? first); ++seed) {
    test(`seed ${seed}`, (t) => play(t, seed));
  }
});
