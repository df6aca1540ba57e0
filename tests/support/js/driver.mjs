// Drives the official `centrifuge` SDK: one JSON object per line, wishes on standard input, facts on standard output.
//
//   wish: {"n": 1, "do": "rpc", "client": "a", ...}
//   answer: {"n": 1, "ok": value} or {"n": 1, "error": {code, message, temporary}}
//   fact: {"client": "a", "kind": "publication", "channel": "user:17", "detail": {...}}
//   question: {"client": "a", "ask": "token", "q": 3}, answered by {"do": "token", "q": 3, "token": "..."}
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const require = createRequire(process.env.SAXAUL_JS_MODULES + '/');
const { Centrifuge } = require('centrifuge');
// Before version 22 Node has no WebSocket of its own that the SDK could use.
const websocket = globalThis.WebSocket ?? require('ws');

const clients = new Map();
const questions = new Map();
let questionNumber = 0;

const say = (object) => process.stdout.write(JSON.stringify(object) + '\n');
const fact = (client, kind, channel, detail) => say({ client, kind, channel, detail });

function askForToken(client) {
  const q = ++questionNumber;
  say({ client, ask: 'token', q });
  return new Promise((resolve, reject) => questions.set(q, { resolve, reject }));
}

function create({ client, url, token, refresh, options }) {
  const settings = { websocket, minReconnectDelay: 100, maxReconnectDelay: 1000, ...options, token };
  if (refresh) settings.getToken = () => askForToken(client);
  const centrifuge = new Centrifuge(url, settings);
  for (const kind of ['connecting', 'connected', 'disconnected', 'error', 'message']) {
    centrifuge.on(kind, (detail) => fact(client, kind, null, detail));
  }
  clients.set(client, centrifuge);
}

async function loadState(name, centrifuge, channel, state) {
  const { data } = await centrifuge.rpc(state.method, state.data);
  if (data?.error) throw new Error(data.error.code);
  fact(name, 'state', channel, data);
  return data.positions[channel];
}

function subscribe({ client, channel, state, options }) {
  const centrifuge = clients.get(client);
  const settings = { minResubscribeDelay: 100, maxResubscribeDelay: 1000, ...options };
  if (state) settings.getState = () => loadState(client, centrifuge, channel, state);
  const subscription = centrifuge.getSubscription(channel) ?? centrifuge.newSubscription(channel, settings);
  if (subscription.listenerCount('publication') === 0) {
    for (const kind of ['subscribing', 'subscribed', 'unsubscribed', 'publication']) {
      subscription.on(kind, (detail) => fact(client, kind, channel, detail));
    }
    subscription.on('error', (detail) => fact(client, 'subscription_error', channel, detail));
  }
  subscription.subscribe();
}

const wishes = {
  create,
  subscribe,
  connect: ({ client }) => { clients.get(client).connect(); },
  disconnect: ({ client }) => { clients.get(client).disconnect(); },
  unsubscribe: ({ client, channel }) => { clients.get(client).getSubscription(channel).unsubscribe(); },
  rpc: async ({ client, method, data }) => (await clients.get(client).rpc(method, data)).data,
  runtime: () => ({ node: process.version, websocket: websocket === globalThis.WebSocket ? 'own' : 'ws' }),
};

function answerQuestion({ q, token, error }) {
  const { resolve, reject } = questions.get(q);
  questions.delete(q);
  if (error) reject(new Error(error));
  else resolve(token);
}

async function grant(wish) {
  try {
    const value = await wishes[wish.do](wish);
    say({ n: wish.n, ok: value ?? null });
  } catch (error) {
    say({ n: wish.n, error: { code: error.code ?? 0, message: error.message ?? String(error), temporary: error.temporary ?? false } });
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const wish = JSON.parse(line);
  if (wish.do === 'token') answerQuestion(wish);
  else grant(wish);
});
lines.on('close', () => process.exit(0));
