// benchmarks/search: the search of `penstock bench --budget` against a server with a known knee.

import {join} from 'node:path';

import {limitTime, start} from './children.mjs';
import {kPenstock} from './programs.mjs';
import {conclude, environment, figure, printEnvironment, printTable, readFlags} from './report.mjs';

const kBenchCore = 0;
const kServerCore = 1;
const kErrorMax = 0.05;
const kOutputTokens = 16;

// Servers with knees at different places: base + each × n milliseconds a step; the bound on TPOT.
const kServers = [
  {baseMs: 6, eachMs: 0.25, boundMs: 14},  // 32 streams
  {baseMs: 8, eachMs: 0.5, boundMs: 18},   // 20
  {baseMs: 5, eachMs: 1.5, boundMs: 17},   // 8
  {baseMs: 4, eachMs: 0.125, boundMs: 12}, // 64
  {baseMs: 10, eachMs: 0.2, boundMs: 20},  // 50
];

const truthOf = ({baseMs, eachMs, boundMs}) => Math.floor((boundMs - baseMs) / eachMs + 1e-9);

async function search(server, seed) {
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
        // Half a step of room: the truth is a whole number of streams, and timers are not exact.
        `--budget=tpot_p95<${server.boundMs + server.eachMs / 2}ms,errors<5%`,
        '--input-tokens=128',
        `--output-tokens=${kOutputTokens}`,
        `--seed=${seed}`,
        '--no-progress',
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
  return {
    truth: truthOf(server),
    found: summary.within_budget ?? 0,
    proven: summary.levels.find((level) => level.concurrency === summary.within_budget)
                ?.budget.proven ??
        false,
    probes: summary.levels.length,
    requests: summary.levels.reduce((sum, level) => sum + level.measured + level.warmup, 0),
    seconds: (performance.now() - begun) / 1000,
    answer: summary.answer,
  };
}

async function main() {
  const flags = readFlags({runs: {type: 'string'}});
  limitTime(flags.quick ? 120 : 900);
  const where = environment();
  printEnvironment(where);
  const servers = flags.quick ? kServers.slice(0, 3) : kServers;
  const runs = Number(flags.runs ?? (flags.quick ? 1 : 3));
  const rows = [];
  for (let run = 0; run < runs; ++run) {
    for (const server of servers) rows.push({...server, ...(await search(server, run + 1))});
  }
  for (const row of rows) row.error = Math.abs(row.found - row.truth) / row.truth;
  printTable([
    ['server', 'truth', 'found', 'error', 'proven', 'probes', 'requests', 'seconds'],
    ...rows.map((row) => [
      `${row.baseMs} + ${row.eachMs} n ms, TPOT < ${row.boundMs} ms`, String(row.truth),
      String(row.found), `${figure(100 * row.error, 1)} %`, row.proven ? 'yes' : 'no',
      String(row.probes), String(row.requests), figure(row.seconds, 1)]),
  ]);
  const worst = Math.max(...rows.map((row) => row.error));
  conclude({
    name: 'search',
    goals: [{name: 'the worst error', value: 100 * worst, digits: 1, most: 100 * kErrorMax}],
    unit: ' %',
    json: flags.json,
    raw: {where, rows},
  });
}

await main();
