// The programs under measurement and their peers, started and ready.

import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import http from 'node:http';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';

import {start, temporaryFolder} from './children.mjs';

const kBuild = process.env.PENSTOCK_BUILD;
export const kPenstock = join(kBuild, 'penstock');
export const tool = (name) => join(kBuild, 'measure', name);

// The status of GET http://127.0.0.1:PORT/PATH, or 0 where nobody answers.
export function get(port, path) {
  return new Promise((done) => {
    const request = http.get({host: '127.0.0.1', port, path, agent: false}, (response) => {
      response.resume();
      response.on('end', () => done(response.statusCode));
    });
    request.on('error', () => done(0));
  });
}

// Waits until `program` answers GET `path` with 200. Throws when it ends first or takes over
// `limit_ms`.
export async function ready(program, port, path, {limit_ms = 20000, every_ms = 5} = {}) {
  const end = performance.now() + limit_ms;
  let ended = false;
  program.ended.then(() => {
    ended = true;
  });
  while ((await get(port, path)) !== 200) {
    if (ended || performance.now() > end)
      throw new Error(`not ready on port ${port}: ${program.errors()}`);
    await pause(every_ms);
  }
}

// A port that was free a moment ago.
export function freePort() {
  return new Promise((done) => {
    const server = http.createServer().listen(0, '127.0.0.1', () => {
      const {port} = server.address();
      server.close(() => done(port));
    });
  });
}

// sse_pair: {port, measure(settings) -> its numbers, stop()}.
export async function startPair(core) {
  const pair = start(tool('sse_pair'), [], {core, input: true});
  const next = async () => {
    const {value, done} = await pair.lines.next();
    if (done) throw new Error(`sse_pair ended: ${pair.errors()}`);
    return JSON.parse(value);
  };
  const {port} = await next();
  return {
    port,
    stop: () => pair.stop(),
    measure(settings) {
      const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
      pair.child.stdin.write(`${words.join(' ')}\n`);
      return next();
    },
  };
}

const nginxConfiguration = (folder, port, upstream) => `
daemon off;
worker_processes 1;
${process.getuid() === 0 ? 'user root;' : ''}
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 19000; use epoll; multi_accept on; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  upstream source {
    server 127.0.0.1:${upstream};
    keepalive 4096;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://source;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 300s;
    }
  }
}
`;

// nginx as a relay to `upstream`: {name, port, processes, key, stop()}.
export async function startNginx(upstream, core) {
  const folder = temporaryFolder();
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, nginxConfiguration(folder, port, upstream));
  const nginx = start('nginx', ['-e', 'stderr', '-c', file, '-p', folder], {core});
  await ready(nginx, port, '/health');
  const workers = readFileSync(`/proc/${nginx.pid}/task/${nginx.pid}/children`, 'utf8')
                      .trim()
                      .split(' ')
                      .map(Number);
  return {name: 'nginx', port, key: '', processes: workers, stop: () => nginx.stop('SIGQUIT')};
}

// The least that a relay can do, as one: it moves bytes and knows nothing of them.
export async function startFloor(upstream, core) {
  const relay = start(tool('tcp_relay'), [`upstream=${upstream}`], {core});
  const {port} = JSON.parse((await relay.lines.next()).value);
  return {name: 'floor', port, key: '', processes: [relay.pid], stop: () => relay.stop()};
}

// `penstock serve` with one I/O thread, as a relay to `upstream`: what startNginx returns, and its
// start-up time.
export function startPenstock(upstream, core, more = []) {
  const endpoint = upstream ? [`--static-endpoint=bench=http://127.0.0.1:${upstream}`] : [];
  return startPenstockWith([...endpoint, ...more], core);
}

// The same with all that `flags` say, on the data of an earlier server where `data_folder` names
// it.
export async function startPenstockWith(flags, core, data_folder) {
  const folder = data_folder ?? join(temporaryFolder(), 'data');
  mkdirSync(folder, {recursive: true});
  const port = await freePort();
  const penstock = start(
      kPenstock,
      [
        'serve', `--data-dir=${folder}`, `--listen=127.0.0.1:${port}`, '--io-threads=1', ...flags
      ],
      {core});
  const began = performance.now();
  await ready(penstock, port, '/-/ready', {every_ms: 1});
  const started_ms = performance.now() - began;
  const key_file = join(folder, 'admin.key');
  const key = existsSync(key_file) ? readFileSync(key_file, 'utf8').trim() : '';
  return {
    name: 'penstock',
    port,
    key,
    processes: [penstock.pid],
    started_ms,
    data_folder: folder,
    stop: () => penstock.stop()
  };
}
