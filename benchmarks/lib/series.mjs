// benchmarks/series: what the minute series and /metrics cost.

import {limitTime, run, temporaryFolder} from './children.mjs';
import {tool} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';

const kQuarterDays = 93;
const kQueryDays = 30;
const kEndpoints = 1000;

async function measure(...words) {
  return JSON.parse(await run(tool('series_meter'), words.map(String)));
}

async function main() {
  const flags = readFlags();
  limitTime(240);
  const facts = environment();
  printEnvironment(facts);

  const folder = temporaryFolder();
  const fill = await measure('fill', folder, kQuarterDays);
  const runs = {record: [], query: [], page: []};
  await measure('query', folder, kQueryDays);  // Makes the peer's table; not counted.
  for (let i = 0; i < (flags.quick ? 5 : 11); ++i) {
    runs.record.push(await measure('record'));
    runs.query.push(await measure('query', folder, kQueryDays));
    runs.page.push(await measure('page', kEndpoints));
  }
  const of = (what, name) => runs[what].map((each) => each[name]);
  const row = (title, values, digits, goal) =>
      [title, figure(median(values), digits), spread(values, digits), goal];
  printTable([
    ['minute series', 'median', 'spread', 'goal'],
    row('count a record into its minute, ns', of('record', 'ns_per_record'), 0, '<= 1000'),
    [`an endpoint's ${kQuarterDays} days, MB`, figure(fill.stored_bytes / 1e6), '', '<= 20'],
    row(`read ${kQueryDays} days by the minute, ms`, of('query', 'read_ms'), 1, ''),
    row('the same as plain SQLite rows, ms', of('query', 'peer_ms'), 1, ''),
    row(`answer ${kQueryDays} days over the API, ms`, of('query', 'api_ms'), 1, '<= 50'),
    row(`/metrics of ${kEndpoints} endpoints, ms`, of('page', 'ms'), 1, '<= 50'),
  ]);
  console.log('');
  conclude({
    name: 'series',
    goals: [
      {name: 'ns per record', value: median(of('record', 'ns_per_record')), digits: 0, most: 1000},
      {name: 'MB per quarter', value: fill.stored_bytes / 1e6, digits: 1, most: 20},
      {name: 'query ms', value: median(of('query', 'api_ms')), digits: 1, most: 50},
      {name: '/metrics ms', value: median(of('page', 'ms')), digits: 1, most: 50},
    ],
    json: flags.json,
    raw: {environment: facts, fill, runs},
  });
}

await main();
