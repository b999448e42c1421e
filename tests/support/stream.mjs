// A streamed chat as a test sees it: its events as they come.

// Starts a stream on `server` and reads its head: {response, next, rest, abort}. `next` gives the next
// data line's text, or undefined at the end; `rest` all that are left; a cut connection throws.
export async function stream(server, model, fields = {}, path = '/v1/chat/completions') {
  const abort = new AbortController();
  const response = await fetch(new URL(path, server.url), {
    method: 'POST',
    signal: abort.signal,
    headers: { authorization: `Bearer ${server.adminKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Hello' }], ...fields }),
  });
  const events = dataOf(response.body);
  const next = async () => (await events.next()).value;
  const rest = async () => {
    const all = [];
    for await (const data of events) all.push(data);
    return all;
  };
  return { response, next, rest, abort: () => abort.abort() };
}

async function* dataOf(body) {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    const events = text.split('\n\n');
    text = events.pop();
    yield* events.filter((event) => event.startsWith('data: ')).map((event) => event.slice(6));
  }
}
