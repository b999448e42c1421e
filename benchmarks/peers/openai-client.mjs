// OpenAI's own JavaScript client as a load generator: what a harness built on it would measure.
//
//   openai-client.mjs port=N records=FILE streams=1000 requests=2000 warmup=1000 tokens=60
// Keeps `streams` requests running, and writes a line per request, as penstock bench does: sent_ns just
// before the call, first_token_ns when the client's iterator gives the first chunk with content.

import {createWriteStream} from 'node:fs';
import {createRequire} from 'node:module';

const words = Object.fromEntries(process.argv.slice(2).map((word) => word.split('=')));
const number = (name) => Number(words[name]);

// The client that tests/compat has installed.
const require = createRequire(new URL('../../tests/compat/package.json', import.meta.url));
const {OpenAI} = require('openai');

const client = new OpenAI({
  baseURL: `http://127.0.0.1:${number('port')}/v1`,
  apiKey: 'none',
  maxRetries: 0,
  timeout: 600000,
});
const prompt = 'word '.repeat(128);
const now = () => Number(process.hrtime.bigint());
const lines = [];
let taken = 0;

async function ask(phase) {
  const record = {phase, sent_ns: now(), chunks: 0, reads: 0};
  const stream = await client.chat.completions.create({
    model: 'bench',
    messages: [{role: 'user', content: prompt}],
    max_tokens: number('tokens'),
    stream: true,
    stream_options: {include_usage: true},
  });
  for await (const chunk of stream) {
    if (!chunk.choices[0]?.delta?.content) continue;
    if (record.chunks++ === 0) record.first_token_ns = now();
  }
  record.end_ns = now();
  lines.push(JSON.stringify(record));
}

async function work() {
  while (taken < number('warmup') + number('requests')) {
    const mine = taken++;
    await ask(mine < number('warmup') ? 'warmup' : 'measured');
  }
}

await Promise.all(Array.from({length: number('streams')}, work));
const file = createWriteStream(words.records);
for (const line of lines) file.write(`${line}\n`);
await new Promise((done) => file.end(done));
