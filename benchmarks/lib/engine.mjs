// benchmarks/engine: two engines on the same kernels, model, threads and load.

import {existsSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {join} from 'node:path';

import {limitTime, run, temporaryFolder} from './children.mjs';
import {conversations, geometricMean, interference, ownCode, throughput} from './engine_parts.mjs';
import {kPenstock} from './programs.mjs';
import {conclude, environment, printEnvironment, readFlags} from './report.mjs';

const kParts = ['throughput', 'interference', 'conversations', 'own'];
const kShapes = [
  {prompt: 256, output: 64, least: 1.2},
  {prompt: 2048, output: 256, least: 1.1},
];
const kFull = {
  models: ['110m', '0.5b', '1.1b'],
  streams: [1, 2, 4, 8, 16, 32]
};
// Under a minute: one model, its two ends and the middle.
const kQuick = {
  models: ['15m'],
  streams: [1, 8]
};

// Paths by name: a GGUF that was given, or a synthetic model of a size.
async function findModels(words) {
  const models = [];
  for (const word of words) {
    if (word.endsWith('.gguf')) {
      if (!existsSync(word)) throw new Error(`--models: there is no file ${word}`);
      models.push({name: word.split('/').pop(), path: word});
      continue;
    }
    const path = join(temporaryFolder(), `${word}.gguf`);
    await run(kPenstock, ['model', 'synth', `--size=${word}`, `--output=${path}`]);
    models.push({name: word, path});
  }
  return models;
}

const listOf = (text) => text?.split(',').map((word) => word.trim());

async function main() {
  const flags = readFlags({
    pairs: {type: 'string'},
    parts: {type: 'string'},
    models: {type: 'string'},
    streams: {type: 'string'},
    shapes: {type: 'string'},
    threads: {type: 'string'},
    rounds: {type: 'string'},
    turns: {type: 'string'},
    peer: {type: 'string'},
  });
  const pairs = Number(flags.pairs ?? (flags.quick ? 1 : 5));
  const threads = Number(flags.threads ?? availableParallelism());
  const parts = listOf(flags.parts) ?? (flags.quick ? ['throughput'] : kParts);
  const scope = flags.quick ? kQuick : kFull;
  const streams = (listOf(flags.streams) ?? scope.streams).map(Number);
  const shapes =
      kShapes.filter(({prompt, output}) => (listOf(flags.shapes) ?? (flags.quick ? ['256/64'] : [
                                              '256/64', '2048/256'
                                            ])).includes(`${prompt}/${output}`));
  const unknown = parts.filter((part) => !kParts.includes(part));
  if (unknown.length > 0) throw new Error(`--parts: ${unknown}; there are ${kParts.join(', ')}`);
  limitTime(flags.quick ? 600 : 8 * 3600);
  const facts = environment();
  printEnvironment(facts);
  const models = await findModels(listOf(flags.models) ?? scope.models);
  const settings = {
    threads,
    pairs,
    quick: flags.quick,
    peer: listOf(flags.peer) ?? [],
    turns: Number(flags.turns ?? (flags.quick ? 4 : 8)),
  };

  const goals = [];
  const raw = {environment: facts, threads, pairs};
  if (parts.includes('throughput')) {
    for (const {prompt, output, least} of shapes) {
      const cases = models.flatMap(
          ({name, path}) =>
              streams.map((count) => ({
                            name,
                            model: path,
                            prompt,
                            output,
                            streams: count,
                            rounds: Number(
                                flags.rounds ?? Math.max(flags.quick ? 2 : 3, Math.ceil(8 / count))),
                          })));
      const results = await throughput(cases, settings);
      const ratios = results.map(({ratio}) => ratio);
      raw[`throughput ${prompt}/${output}`] = results;
      goals.push(
          {
            name: `output tokens/s ÷ llama-server's, ${prompt}/${output}, geometric mean`,
            value: geometricMean(ratios),
            least
          },
          {name: `the least of them, ${prompt}/${output}`, value: Math.min(...ratios), least: 1});
    }
  }
  if (parts.includes('interference')) {
    raw.interference = await interference(models[0].path, settings);
    goals.push(
        {
          name: 'longest gap between tokens ÷ llama-server\'s',
          value: raw.interference.gap,
          most: 0.333
        },
        {
          name: 'first token p99 of short requests ÷ llama-server\'s',
          value: raw.interference.first_token,
          most: 0.5
        });
  }
  if (parts.includes('conversations')) {
    raw.conversations = await conversations(models[0].path, settings);
    goals.push(
        {
          name: 'conversations, total tokens/s ÷ nothing reused',
          value: raw.conversations.against_none,
          least: 3
        },
        {
          name: 'conversations, total tokens/s ÷ llama-server\'s',
          value: raw.conversations.against_peer,
          least: 1
        });
  }
  if (parts.includes('own')) {
    raw.own = await ownCode(models[0].path, settings);
    goals.push({
      name: 'per cent of a step outside the kernels, 8 streams',
      value: raw.own.outside_kernels_percent,
      most: 5
    });
  }
  conclude({name: 'engine', goals, json: flags.json, raw});
}

await main();
