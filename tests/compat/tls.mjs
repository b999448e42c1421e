// A Penstock that speaks TLS with a certificate of its own, for clients that refuse anything else.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';

import { Server, temporaryFolder } from '../support/penstock.mjs';

// {server, ca, agent}: `agent` leads any host and port to it, since one client insists on port 443.
export async function startTlsServer(t) {
  const folder = temporaryFolder(t);
  const [key, certificate] = ['key.pem', 'certificate.pem'].map((name) => join(folder, name));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
    '-nodes', '-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=127.0.0.1',
    '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'pipe' });
  const server = await Server.start(t, {
    flags: ['--tls-certificate', certificate, '--tls-key', key],
  });
  const ca = readFileSync(certificate, 'utf8');
  const agent = new Agent({ keepAlive: false });
  agent.createConnection = (options) =>
    connect({ host: '127.0.0.1', port: server.port, ca, servername: '' });
  return { server, ca, agent };
}
