// A fake model server whose knee is known: it works in steps like an engine with continuous
// batching. A step takes BASE_MS + EACH_MS × (streams in it) and gives every stream one token, so
// that the time per output token at n streams is exactly that, and the most streams within a bound
// follow from it. Steps are timed against a plan, so that a late timer shortens the next wait.
//
// knee_server.mjs BASE_MS EACH_MS: prints {"port": N}, serves until it is killed.

import http from 'node:http';

const [baseMs, eachMs] = process.argv.slice(2).map(Number);
const streams = new Set();
const kGatherMs = 3;
let planned = 0;
let running = false;

const event = (body) => `data: ${JSON.stringify(body)}\n\n`;
const token = event({choices: [{index: 0, delta: {content: ' tok'}, finish_reason: null}]});

function finish(stream) {
  streams.delete(stream);
  stream.answer.end(
      token + event({choices: [{index: 0, delta: {}, finish_reason: 'length'}]}) +
      event({
        choices: [],
        usage: {prompt_tokens: stream.inputTokens, completion_tokens: stream.tokens},
      }) +
      'data: [DONE]\n\n');
}

// A step first gathers: who was answered by the last one and asks again at once is in it.
function step() {
  const now = performance.now();
  setTimeout(() => {
    const batch = [...streams];
    if (batch.length === 0) {
      running = false;
      return;
    }
    // A pause of the whole process is not made up for by a burst.
    planned = Math.max(planned, now - 50) + baseMs + eachMs * batch.length;
    setTimeout(() => {
      for (const stream of batch) {
        if (++stream.given >= stream.tokens)
          finish(stream);
        else
          stream.answer.write(token);
      }
      step();
    }, Math.max(planned - performance.now(), 0));
  }, kGatherMs);
}

function answer(request, response, body) {
  const asked = JSON.parse(body);
  const prompt = asked.prompt ?? asked.messages.map((message) => message.content).join('');
  // Four bytes are a token, so that prompts can be fitted exactly.
  const inputTokens = Math.ceil(Buffer.byteLength(prompt) / 4);
  if (request.url.endsWith('/tokenize')) {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({count: inputTokens}));
    return;
  }
  response.writeHead(200, {'content-type': 'text/event-stream'});
  const stream = {answer: response, inputTokens, tokens: asked.max_tokens, given: 0};
  response.on('close', () => streams.delete(stream));
  streams.add(stream);
  if (!running) {
    running = true;
    planned = performance.now();
    step();
  }
}

const server = http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => answer(request, response, Buffer.concat(pieces).toString()));
});
server.keepAliveTimeout = 60000;
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({port: server.address().port})));
