// A hub on loopback, with the misfortunes that a test wants: cut connections, wrong hashes, closed
// repositories, redirects to another host.

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, relative } from 'node:path';

const kCommit = '0123456789abcdef0123456789abcdef01234567';

function filesBelow(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const gitHash = (bytes) => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

// Serves `folder` as the repository `name`. `cuts`: so many downloads break off half-way. `lie`: a path
// whose hash is another's. `token`: what it takes to read. {url, requests}
export async function startHub(t, folder, { name = 'org/tiny', cuts = 0, lie, token } = {}) {
  const requests = [];
  const files = filesBelow(folder);
  const siblings = files.map((path) => {
    const bytes = readFileSync(path);
    const rfilename = relative(folder, path);
    const large = /\.(safetensors|gguf)$/.test(path);
    const wrong = rfilename === lie ? Buffer.from('other') : bytes;
    return { rfilename, size: bytes.length, blobId: gitHash(wrong),
      ...(large ? { lfs: { sha256: sha256(wrong), size: bytes.length } } : {}) };
  });

  const storage = createServer((request, response) => {
    requests.push({ host: 'storage', url: request.url, headers: request.headers });
    const bytes = readFileSync(join(folder, decodeURIComponent(request.url.slice(1))));
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? 'bytes=0-')[1]);
    const rest = bytes.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': rest.length });
    if (cuts > 0 && rest.length > 1000) {
      --cuts;
      response.write(rest.subarray(0, Math.ceil(rest.length / 2)), () => response.socket.destroy());
      return;
    }
    response.end(rest);
  });
  const listen = (server) => new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
  });
  const storageUrl = await listen(storage);

  const hub = createServer((request, response) => {
    requests.push({ host: 'hub', url: request.url, headers: request.headers });
    if (token && request.headers.authorization !== `Bearer ${token}`) {
      response.writeHead(401).end('{"error":"Invalid credentials"}');
      return;
    }
    if (request.url === `/api/models/${name}/revision/main?blobs=true`) {
      response.end(JSON.stringify({ sha: kCommit, siblings, cardData: { license: 'apache-2.0' } }));
      return;
    }
    const prefix = `/${name}/resolve/${kCommit}/`;
    if (!request.url.startsWith(prefix)) {
      response.writeHead(404).end();
      return;
    }
    const path = request.url.slice(prefix.length);
    if (/\.(safetensors|gguf)$/.test(path)) {
      response.writeHead(302, { location: `${storageUrl}/${path}` }).end();
    } else {
      response.end(readFileSync(join(folder, decodeURIComponent(path))));
    }
  });
  return { url: await listen(hub), requests, commit: kCommit };
}
