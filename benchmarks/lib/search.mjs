// benchmarks/search: the search of `penstock bench --budget` against a server with a known knee.

import {join} from 'node:path';

import {limitTime, start} from './children.mjs';
import {kPenstock} from './programs.mjs';
import {conclude, environment, figure, printEnvironment, printTable, readFlags} from './report.mjs';

const kBenchCore = 0;
const kServerCore = 1;
const kErrorMax = 5;  // Percent.
const kProbeSecondsMax = 20;
const kSearchSecondsMax = 90;
const kOutputTokens = 12;

// Servers with knees at different places: base + each × n milliseconds a step; the bound on TPOT.
const kServers = [
  {baseMs: 6, eachMs: 0.25, boundMs: 14},  // 32 streams
  {baseMs: 5, eachMs: 1.5, boundMs: 17},   // 8
  {baseMs: 8, eachMs: 0.5, boundMs: 18},   // 20
  {baseMs: 4, eachMs: 0.125, boundMs: 12}, // 64
  {baseMs: 10, eachMs: 0.2, boundMs: 20},  // 50
];

// Half a step of room: the most streams are a whole number, and timers are not exact.
const boundOf = ({boundMs, eachMs}) => boundMs + eachMs / 2;

// The most load within the bound. By rate: each request is in as many steps as it has tokens, so that
// at λ requests a second steps of the bound's length hold λ × tokens × bound streams on average.
const truthOf = (server, by) => {
  const streams = (boundOf(server) - server.baseMs) / server.eachMs;
  if (by === 'concurrency') return Math.floor(streams);
  return streams / (kOutputTokens * boundOf(server) / 1000);
};

async function search(server, by, seed) {
  const source = start(
      process.execPath,
      [join(import.meta.dirname, 'knee_server.mjs'), String(server.baseMs), String(server.eachMs)],
      {core: kServerCore});
  const {port} = JSON.parse((await source.lines.next()).value);
  const begun = performance.now();
  const bench = start(
      kPenstock,
      [
        'bench',
        `http://127.0.0.1:${port}`,
        '--model=knee',
        `--budget=tpot_p95<${boundOf(server)}ms,errors<5%`,
        `--search=${by}`,
        '--arrivals=constant',
        '--input-tokens=128',
        `--output-tokens=${kOutputTokens}`,
        `--probe-max-s=${kProbeSecondsMax}`,
        `--search-max-s=${kSearchSecondsMax}`,
        `--seed=${seed}`,
        '--json',
      ],
      {core: kBenchCore});
  const lines = [];
  for await (const line of bench.lines) lines.push(line);
  const {code, signal} = await bench.ended;
  if (code !== 0 && code !== 1)
    throw new Error(`penstock bench ended with ${signal ?? code}: ${bench.errors()}`);
  await source.stop();
  const summary = JSON.parse(lines.join('\n'));
  const load = (level) => level.rate_per_s ?? level.concurrency;
  const judged = summary.levels.filter((level) => !level.scout);
  const best = judged.find((level) => load(level) === summary.within_budget);
  return {
    by,
    truth: truthOf(server, by),
    found: summary.within_budget ?? 0,
    proven: best?.budget.proven ?? false,
    scouts: summary.levels.length - judged.length,
    judged: judged.length,
    requests: summary.levels.reduce((sum, level) => sum + level.measured + level.warmup, 0),
    seconds: (performance.now() - begun) / 1000,
    answer: summary.answer,
  };
}

async function main() {
  const flags = readFlags({runs: {type: 'string'}});
  const servers = flags.quick ? kServers.slice(0, 2) : kServers;
  const runs = Number(flags.runs ?? (flags.quick ? 1 : 3));
  const where = environment();
  printEnvironment(where);
  const searches = [];
  for (const server of servers) searches.push([server, 'concurrency']);
  // Quick: the least knee by concurrency alone.
  for (const server of flags.quick ? servers.slice(0, 1) : servers) searches.push([server, 'rate']);
  limitTime(searches.length * runs * (kSearchSecondsMax + 5));
  const rows = [];
  for (let run = 0; run < runs; ++run) {
    for (const [server, by] of searches) {
      const row = {...server, ...(await search(server, by, run + 1))};
      row.error = Math.abs(row.found - row.truth) / row.truth;
      rows.push(row);
      console.error(`${rows.length} of ${searches.length * runs}: ${row.answer}`);
    }
  }
  printTable([
    ['server', 'by', 'truth', 'found', 'error', 'proven', 'scouts', 'judged', 'requests', 'seconds'],
    ...rows.map((row) => [
      `${row.baseMs} + ${row.eachMs} n ms, TPOT < ${row.boundMs} ms`, row.by, figure(row.truth, 1),
      figure(row.found, 1), `${figure(100 * row.error, 1)} %`, row.proven ? 'yes' : 'no',
      String(row.scouts), String(row.judged), String(row.requests), figure(row.seconds, 1)]),
  ]);
  const worst = (by) =>
      Math.max(...rows.filter((row) => row.by === by).map((row) => 100 * row.error));
  conclude({
    name: 'search',
    goals: [
      {name: 'the worst error by concurrency', value: worst('concurrency'), digits: 1, most: kErrorMax},
      {name: 'the worst error by rate', value: worst('rate'), digits: 1, most: kErrorMax},
    ],
    unit: ' %',
    json: flags.json,
    raw: {where, rows},
  });
}

await main();
