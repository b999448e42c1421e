// benchmarks/footprint: what an idle `penstock serve` takes, and how fast it is there.

import {setTimeout as pause} from 'node:timers/promises';

import {limitTime} from './children.mjs';
import {processorTime, residentBytes} from './processes.mjs';
import {startPair, startPenstock} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';

const kIdleSeconds = 10;
const kSettleSeconds = 2;  // Start-up work is over by then.

async function measureStart(pair) {
  const penstock = await startPenstock(pair.port);
  await penstock.stop();
  return penstock.started_ms;
}

async function measureIdle(pair) {
  const penstock = await startPenstock(pair.port);
  await pause(kSettleSeconds * 1000);
  const before = processorTime(penstock.processes);
  const began = performance.now();
  await pause(kIdleSeconds * 1000);
  const seconds = (performance.now() - began) / 1000;
  const processor_percent = (100 * (processorTime(penstock.processes) - before)) / 1e9 / seconds;
  const resident_mb = residentBytes(penstock.processes) / 1e6;
  await penstock.stop();
  return {seconds, processor_percent, resident_mb};
}

async function main() {
  const flags = readFlags({starts: {type: 'string'}});
  const starts = Number(flags.starts ?? (flags.quick ? 5 : 9));
  limitTime(60 + starts * 10);
  const facts = environment();
  printEnvironment(facts);

  const pair = await startPair();
  await measureStart(pair);  // Brings the program's pages into memory; not counted.
  const started_ms = [];
  for (let i = 0; i < starts; ++i) started_ms.push(await measureStart(pair));
  const idle = await measureIdle(pair);
  await pair.stop();

  printTable([
    ['penstock serve', 'measured', 'spread', 'goal'],
    ['resident memory, MB', figure(idle.resident_mb, 1), '', '< 40'],
    [`processor over ${kIdleSeconds} s, %`, figure(idle.processor_percent, 3), '', '0'],
    [
      `start to ready, ms (median of ${starts})`, figure(median(started_ms), 0),
      spread(started_ms, 0), '< 200'
    ],
  ]);
  console.log('');
  conclude({
    name: 'footprint',
    goals: [
      {name: 'resident MB', value: idle.resident_mb, digits: 1, most: 40},
      // 0 %, to the tenth of a percent.
      {name: 'processor %', value: idle.processor_percent, digits: 2, most: 0.05},
      {name: 'start to ready ms', value: median(started_ms), digits: 0, most: 200},
    ],
    json: flags.json,
    raw: {environment: facts, started_ms, idle},
  });
}

await main();
