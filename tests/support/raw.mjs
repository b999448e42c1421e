// Raw sockets for tests: bytes out, bytes in, and node's own HTTP parser as the other opinion.

import { createServer } from 'node:http';
import { connect } from 'node:net';

// Sends `pieces` one after the other and collects what comes until the peer ends, or until `enough`
// accepts the text so far: {text, ended}. `halfClose` ends our side after the last piece.
export function exchange(target, pieces, { halfClose = false, enough, seconds = 20 } = {}) {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...target, allowHalfOpen: true });
    const chunks = [];
    const finish = (ended) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text: Buffer.concat(chunks).toString('latin1'), ended });
    };
    const timer = setTimeout(() => finish(false), seconds * 1000);
    socket.on('connect', () => {
      for (const piece of pieces) socket.write(piece);
      if (halfClose) socket.end();
    });
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (enough?.(Buffer.concat(chunks).toString('latin1'))) finish(false);
    });
    socket.on('end', () => finish(true));
    // A refusal may arrive with a reset after it, while our bytes were still on their way.
    socket.on('error', (error) => (chunks.length > 0 || error.code === 'ECONNRESET' ||
      error.code === 'EPIPE' ? finish(true) : (clearTimeout(timer), reject(error))));
  });
}

// Status codes of the answers in `text`, in order.
export const statusesOf = (text) =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})[^\r\n]*\r\n/g)].map(([, status]) => Number(status));

// How node reads `bytes`: [{method, target, body}] of the requests it understood, then perhaps 'refused'.
export function readByNode(bytes) {
  return new Promise((resolve, reject) => {
    const found = [];
    const server = createServer({ insecureHTTPParser: false }, (request, response) => {
      let body = '';
      request.setEncoding('latin1').on('data', (text) => (body += text));
      request.on('end', () => {
        found.push({ method: request.method, target: request.url, body });
        response.end();
      });
    });
    server.on('clientError', (_, socket) => {
      found.push('refused');
      socket.destroy();
    });
    server.listen(0, '127.0.0.1', async () => {
      const target = { host: '127.0.0.1', port: server.address().port };
      try {
        await exchange(target, [bytes], { halfClose: true, seconds: 2 });
        resolve(found);
      } catch (error) {
        reject(error);
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });
  });
}
