// A model server for the ledger's trials: streams `max_tokens` tokens, one an event, at a random
// pace, with usage; or answers in one piece. Runs as a program, so that it can be killed.
//
//   node ledger_source.mjs PORT

import http from 'node:http';

const kPromptTokens = 7;

function answer(request, response, body) {
  const asked = JSON.parse(body);
  const tokens = asked.max_tokens;
  const usage = {
    prompt_tokens: kPromptTokens,
    completion_tokens: tokens,
    total_tokens: kPromptTokens + tokens,
  };
  if (!asked.stream) {
    const message = {role: 'assistant', content: 't'.repeat(tokens)};
    const text = JSON.stringify({
      object: 'chat.completion',
      choices: [{index: 0, message, finish_reason: 'stop'}],
      usage,
    });
    setTimeout(() => {
      response.writeHead(200, {'content-type': 'application/json'});
      response.end(text);
    }, Math.random() * 60);
    return;
  }
  response.writeHead(200, {'content-type': 'text/event-stream'});
  const event = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
  const choice = (delta, finish_reason = null) =>
      ({object: 'chat.completion.chunk', choices: [{index: 0, delta, finish_reason}]});
  let sent = 0;
  const next = () => {
    if (response.destroyed) return;
    if (sent < tokens) {
      ++sent;
      event(choice({content: 't'}));
      setTimeout(next, Math.random() * 4);
      return;
    }
    event(choice({}, 'stop'));
    if (asked.stream_options?.include_usage) {
      event({object: 'chat.completion.chunk', choices: [], usage});
    }
    response.write('data: [DONE]\n\n');
    // The end of the stream may come later than what says so.
    setTimeout(() => response.end(), Math.random() < 0.5 ? 0 : 5);
  };
  next();
}

const server = http.createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (text) => (body += text));
  request.on('end', () => {
    if (request.method !== 'POST') {
      response.end('{}');
      return;
    }
    answer(request, response, body);
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'));
