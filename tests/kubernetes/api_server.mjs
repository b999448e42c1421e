// An API server of Kubernetes' for tests, over TLS: Deployments with their scale, pods and
// EndpointSlices, and a controller whose pods are real engines.
//
// It behaves as the real one does where clients get it wrong: every write changes resourceVersion and
// a stale one is refused with 409; lists come in pages, whose tokens expire with 410; a service's
// pods are spread over several slices; a pod is listed before it is ready and while it ends; the
// bearer token is checked; a merge patch needs its content type. inject() adds faults.

import { spawn } from 'node:child_process';
import { createServer as createTlsServer } from 'node:https';
import { createServer } from 'node:net';

import { kProgram } from '../support/penstock.mjs';

const kKinds = [
  ['scale', /^\/apis\/apps\/v1\/namespaces\/ml\/deployments\/([\w-]+)\/scale$/],
  ['deployment', /^\/apis\/apps\/v1\/namespaces\/ml\/deployments\/([\w-]+)$/],
  ['pod', /^\/api\/v1\/namespaces\/ml\/pods\/([\w-]+)$/],
  ['endpointslices', /^\/apis\/discovery\.k8s\.io\/v1\/namespaces\/ml\/endpointslices$/],
];

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

export class ApiServer {
  // {key, certificate}: PEM texts. `model`: what its pods serve.
  static async start(t, { key, certificate, model, token, names }) {
    const server = new ApiServer(model, token, names);
    server.https = createTlsServer({ key, cert: certificate },
      (request, response) => server.#handle(request, response));
    server.port = await freePort();
    await server.listen();
    server.timer = setInterval(() => server.#control(), 100);
    t.after(() => server.end());
    return server;
  }

  constructor(model, token, names) {
    this.model = model;
    this.token = token;
    this.version = 100;
    this.deployments = new Map(names.map((name) =>
      [name, { replicas: 0, version: String(++this.version), annotations: {}, pods: [] }]));
    this.faults = [];
    this.calls = new Set();  // "patch scale"
    this.patches = 0;  // Of scales.
    this.next = 0;
  }

  listen() {
    return new Promise((resolve) => this.https.listen(this.port, '127.0.0.1', resolve));
  }
  // Nobody answers until listen().
  outage() {
    return new Promise((resolve) => {
      this.https.close(resolve);
      this.https.closeAllConnections();
    });
  }
  end() {
    clearInterval(this.timer);
    this.ended = true;
    this.https.close();
    this.https.closeAllConnections();
    for (const { pods } of this.deployments.values()) pods.forEach((pod) => pod.process.kill('SIGKILL'));
  }
  // The next `times` calls of that verb and kind are answered with `status`.
  inject(verb, kind, status, { times = 1, headers = {}, delay = 0, onContinue = false } = {}) {
    this.faults.push({ verb, kind, status, times, headers, delay, onContinue });
  }
  pods(name) {
    return this.deployments.get(name).pods;
  }
  living(name) {
    return this.pods(name).filter((pod) => !pod.terminating);
  }

  #touch(object) {
    object.version = String(++this.version);
  }

  async #handle(request, response) {
    const url = new URL(request.url, 'https://localhost');
    let text = '';
    for await (const piece of request) text += piece;
    const kind = kKinds.find(([, pattern]) => pattern.test(url.pathname));
    const verb = request.method === 'GET' ? (kind?.[0] === 'endpointslices' ? 'list' : 'get') : request.method.toLowerCase();
    const answer = (status, body, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    };
    const refuse = (status, message, headers) => answer(status,
      { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code: status }, headers);
    if (request.headers.authorization !== `Bearer ${this.token}`) return refuse(401, 'Unauthorized');
    if (!kind) return refuse(404, `the server could not find ${url.pathname}`);
    this.calls.add(`${verb} ${kind[0]}`);
    const fault = this.faults.find((each) => each.times > 0 && each.verb === verb && each.kind === kind[0] &&
      (!each.onContinue || url.searchParams.has('continue')));
    if (fault) {
      fault.times -= 1;
      if (fault.delay) await new Promise((resolve) => setTimeout(resolve, fault.delay));
      if (fault.status) return refuse(fault.status, `injected ${fault.status}`, fault.headers);
    }
    if (verb === 'patch' && request.headers['content-type'] !== 'application/merge-patch+json') {
      return refuse(415, 'the body of the request was in an unknown format');
    }
    const name = url.pathname.match(kind[1])[1];
    const patch = verb === 'patch' ? JSON.parse(text) : undefined;
    return this[`_${kind[0]}`]({ name, patch, url, answer, refuse });
  }

  #stale(object, patch, refuse) {
    const given = patch?.metadata?.resourceVersion;
    if (given === undefined || given === object.version) return false;
    refuse(409, 'the object has been modified; please apply your changes to the latest version');
    return true;
  }

  _deployment({ name, patch, answer, refuse }) {
    const found = this.deployments.get(name);
    if (!found) return refuse(404, `deployments.apps "${name}" not found`);
    if (this.#stale(found, patch, refuse)) return undefined;
    for (const [key, value] of Object.entries(patch?.metadata?.annotations ?? {})) {
      if (value === null) delete found.annotations[key];
      else found.annotations[key] = value;
      this.#touch(found);
    }
    return answer(200, { kind: 'Deployment', apiVersion: 'apps/v1', spec: { replicas: found.replicas },
      metadata: { name, resourceVersion: found.version, annotations: found.annotations } });
  }

  _scale({ name, patch, answer, refuse }) {
    const found = this.deployments.get(name);
    if (!found) return refuse(404, `deployments.apps "${name}" not found`);
    if (this.#stale(found, patch, refuse)) return undefined;
    if (patch?.spec) {
      found.replicas = patch.spec.replicas ?? 0;
      this.patches += 1;
      this.#touch(found);
    }
    const spec = found.replicas === 0 ? {} : { replicas: found.replicas };  // Zeros are left out.
    return answer(200, { kind: 'Scale', apiVersion: 'autoscaling/v1', spec,
      metadata: { name, resourceVersion: found.version } });
  }

  _pod({ name, patch, answer, refuse }) {
    for (const { pods } of this.deployments.values()) {
      const pod = pods.find((each) => each.name === name);
      if (!pod) continue;
      const cost = patch?.metadata?.annotations?.['controller.kubernetes.io/pod-deletion-cost'];
      if (cost !== undefined) pod.cost = Number(cost);
      return answer(200, { kind: 'Pod', metadata: { name } });
    }
    return refuse(404, `pods "${name}" not found`);
  }

  // One slice a page, one pod a slice: as far apart as they may be. A pod stands in two at times.
  _endpointslices({ url, answer, refuse }) {
    const service = url.searchParams.get('labelSelector')?.match(/^kubernetes\.io\/service-name=([\w-]+)$/)?.[1];
    const found = this.deployments.get(service);
    if (!found) return answer(200, { kind: 'EndpointSliceList', metadata: {}, items: [] });
    const slices = found.pods.map((pod) => this.#slice(pod));
    const at = Number(url.searchParams.get('continue') ?? 0);
    if (at > slices.length) return refuse(410, 'The provided continue parameter is too old');
    const more = at + 1 < slices.length ? { continue: String(at + 1) } : {};
    return answer(200, { kind: 'EndpointSliceList', apiVersion: 'discovery.k8s.io/v1',
      metadata: { resourceVersion: String(this.version), ...more }, items: slices.slice(at, at + 1) });
  }

  #slice(pod) {
    return { addressType: 'IPv4', ports: [{ name: 'metrics', port: 1 }, { name: 'http', port: pod.port }],
      endpoints: [{ addresses: ['127.0.0.1'], targetRef: { kind: 'Pod', name: pod.name },
        conditions: { ready: pod.ready && !pod.terminating, serving: pod.ready, terminating: pod.terminating } }] };
  }

  async #control() {
    if (this.busy || this.ended) return;
    this.busy = true;
    for (const [name, deployment] of this.deployments) {
      const living = this.living(name);
      for (let i = living.length; i < deployment.replicas; ++i) await this.#begin(name, deployment);
      living.sort((a, b) => a.cost - b.cost || b.number - a.number);
      for (let i = deployment.replicas; i < living.length; ++i) {
        living[i - deployment.replicas].terminating = true;
        living[i - deployment.replicas].process.kill('SIGTERM');
      }
      for (const pod of living) {
        pod.ready = await fetch(`http://127.0.0.1:${pod.port}/health`).then(({ ok }) => ok, () => false);
      }
    }
    this.busy = false;
  }

  async #begin(name, deployment) {
    const number = this.next++;
    const port = await freePort();
    const process = spawn(kProgram, ['engine', '--model', this.model, '--model-name', name, '--parallel', '2',
      '--listen', `127.0.0.1:${port}`], { stdio: 'ignore' });
    const pod = { name: `${name}-${number}`, number, port, process, ready: false, terminating: false, cost: 0 };
    deployment.pods.push(pod);
    process.on('close', () => {
      deployment.pods.splice(deployment.pods.indexOf(pod), 1);
    });
  }
}
