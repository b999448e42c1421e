// Conversion to GGUF, judged by a second reading: every tensor of the file against the weights, and
// the model's own answers against the model computed here.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, truncateSync, writeFileSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, run, temporaryFolder } from '../support/penstock.mjs';
import { readGguf } from './gguf.mjs';
import { makeModel, unigramPieces, unigramTokenizer, wordPieces } from './make.mjs';
import { encode, greedy, unigram } from './reference.mjs';
import { readSafetensors } from './safetensors.mjs';

// As the files have it: what a 16-bit type keeps of the numbers.
function weightsIn(folder) {
  const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  return Object.assign({}, ...files.map((name) => readSafetensors(readFileSync(join(folder, name)))));
}

const kParts = {
  'input_layernorm': 'attn_norm', 'self_attn.q_proj': 'attn_q', 'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v', 'self_attn.o_proj': 'attn_output', 'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm', 'post_attention_layernorm': 'ffn_norm', 'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up', 'mlp.down_proj': 'ffn_down',
  'attention.self.query': 'attn_q', 'attention.self.key': 'attn_k', 'attention.self.value': 'attn_v',
  'attention.output.dense': 'attn_output', 'attention.output.LayerNorm': 'attn_output_norm',
  'intermediate.dense': 'ffn_up', 'output.dense': 'ffn_down', 'output.LayerNorm': 'layer_output_norm',
};
const kOthers = {
  'model.embed_tokens.weight': 'token_embd.weight', 'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight', 'embeddings.word_embeddings.weight': 'token_embd.weight',
  'embeddings.position_embeddings.weight': 'position_embd.weight',
  'embeddings.token_type_embeddings.weight': 'token_types.weight',
  'embeddings.LayerNorm.weight': 'token_embd_norm.weight', 'embeddings.LayerNorm.bias': 'token_embd_norm.bias',
};

function nameInGguf(name) {
  if (kOthers[name]) return kOthers[name];
  const [, layer, part, kind] = /^(?:model\.layers|encoder\.layer)\.(\d+)\.(.*)\.(weight|bias)$/.exec(name);
  return `blk.${layer}.${kParts[part]}.${kind}`;
}

// GGUF's "llama" rotates neighbours where the weights rotate halves: row h*size + i + j*half goes to
// h*size + 2*i + j.
function regrouped({ shape, data }, headCount) {
  const width = shape[1] ?? 1;
  const size = shape[0] / headCount;
  const out = new Float32Array(data.length);
  for (let row = 0; row < shape[0]; ++row) {
    const within = row % size;
    const i = within % (size / 2);
    const j = Math.floor(within / (size / 2));
    const to = row - within + 2 * i + j;
    out.set(data.slice(row * width, (row + 1) * width), to * width);
  }
  return out;
}

function tolerance(type, data) {
  if (type === 'f32') return () => 0;
  if (type === 'f16') return (x) => Math.abs(x) * 2 ** -11 + 2 ** -25;
  if (type === 'bf16') return (x) => Math.abs(x) * 2 ** -8;
  return (x, i) => {
    const block = data.slice(Math.floor(i / 32) * 32, Math.floor(i / 32) * 32 + 32);
    return Math.max(...block.map(Math.abs)) / 127 * 0.57;
  };
}

async function convert(folder, output, type) {
  const made = await run(['model', 'convert', folder, '--output', output, '--type', type, '--json']);
  assert.equal(made.code, 0, made.stderr);
  return JSON.parse(made.stdout);
}

const kCases = [
  ['llama', 'BF16', 'bf16'], ['llama', 'F32', 'f32'], ['llama', 'F32', 'q8_0'],
  ['mistral', 'F16', 'f16', 3], ['qwen2', 'BF16', 'f16'], ['qwen3', 'F32', 'f32'], ['bert', 'F32', 'f16'],
  ['xlmr', 'BF16', 'f32'], ['llama2', 'F16', 'f16'], ['deepseek', 'BF16', 'bf16'],
];

for (const [family, dtype, type, shards] of kCases) {
  test(`${family}, ${dtype} to ${type}: every tensor is there, and is what it was`, async (t) => {
    const folder = temporaryFolder(t);
    const { config } = makeModel(join(folder, 'm'), family, { dtype, shards });
    const output = join(folder, 'm.gguf');
    const report = await convert(join(folder, 'm'), output, type);
    const { keys, tensors } = readGguf(readFileSync(output));
    const weights = weightsIn(join(folder, 'm'));
    const unread = family === 'xlmr' ? config.pad_token_id + 1 : 0;
    if (unread > 0) {  // Positions that XLM-R never reads.
      const table = weights['embeddings.position_embeddings.weight'];
      table.data = table.data.slice(unread * config.hidden_size);
      table.shape = [table.shape[0] - unread, table.shape[1]];
    }
    const left = new Set(Object.keys(tensors));
    let compared = 0;
    for (const [name, weight] of Object.entries(weights)) {
      if (name.startsWith('pooler.')) continue;
      const target = nameInGguf(name);
      const found = tensors[target];
      assert.ok(found, `${name} is missing as ${target}`);
      left.delete(target);
      assert.deepEqual(found.shape, [...weight.shape].reverse(), target);
      const turned = ['llama', 'llama2', 'mistral'].includes(family) && /self_attn\.[qk]_proj/.test(name);
      const heads = /q_proj/.test(name) ? config.num_attention_heads : config.num_key_value_heads;
      const expected = turned ? regrouped(weight, heads) : weight.data;
      const may = tolerance(found.type, expected);
      expected.forEach((value, i) => {
        if (Math.abs(found.data[i] - value) > may(value, i)) {
          assert.fail(`${target}[${i}] is ${found.data[i]}, was ${value}`);
        }
      });
      ++compared;
      const small = weight.shape.length === 1 || /position_embd|token_types/.test(target);
      assert.equal(found.type, small ? 'f32' : type, target);
    }
    assert.deepEqual([...left], family === 'llama' ? ['rope_freqs.weight'] : []);
    assert.equal(report.tensors, Object.keys(tensors).length);
    assert.ok(compared > 10);
    const architecture = { mistral: 'llama', llama2: 'llama', deepseek: 'qwen2', xlmr: 'bert' }[family] ?? family;
    assert.equal(keys['general.architecture'], architecture);
    assert.equal(keys[`${architecture}.block_count`], config.num_hidden_layers);
    assert.equal(keys[`${architecture}.context_length`], config.max_position_embeddings - unread);
    assert.equal(keys['tokenizer.ggml.tokens'].length, config.vocab_size);
    assert.equal(keys['tokenizer.ggml.model'], { llama: 'gpt2', qwen2: 'gpt2', qwen3: 'gpt2', deepseek: 'gpt2', mistral: 'llama', llama2: 'llama', bert: 'bert', xlmr: 't5' }[family]);
    const pre = { llama: 'llama-bpe', qwen2: 'qwen2', qwen3: 'qwen2', deepseek: 'qwen2' }[family];
    if (pre) assert.equal(keys['tokenizer.ggml.pre'], pre);
    if (family === 'xlmr') {
      const { precompiled_charsmap: map } = unigramTokenizer().normalizer.normalizers[0];
      assert.deepEqual(Buffer.from(keys['tokenizer.ggml.precompiled_charsmap']), Buffer.from(map, 'base64'));
      unigramPieces().forEach(([text, score], id) => {
        assert.equal(keys['tokenizer.ggml.tokens'][id], text);
        assert.equal(keys['tokenizer.ggml.scores'][id], Math.fround(score));
      });
    }
    if (family === 'deepseek') {  // Whatever its files call special, as it stands there.
      const tokens = keys['tokenizer.ggml.tokens'];
      const tool = tokens.indexOf('<｜tool▁calls▁begin｜>');
      assert.equal(keys['tokenizer.ggml.token_type'][tool], 3);
      assert.equal(tokens[keys['tokenizer.ggml.bos_token_id']], '<｜begin▁of▁sentence｜>');
      assert.equal(keys['tokenizer.ggml.add_bos_token'], true);
    }
  });
}

// The endpoint NAME of a model converted by the server from `folder`.
async function serve(t, folder, flags) {
  const server = await Server.start(t);
  const registered = await run(['model', 'register', 'main.test.m', '--file', folder,
    '--data-dir', server.dataDirectory, '--type', 'f32', ...flags]);
  assert.equal(registered.code, 0, registered.stderr);
  const created = await server.call('POST', '/api/2.0/serving-endpoints', {
    name: 'm',
    config: { served_entities: [{ entity_name: 'main.test.m', entity_version: '1',
      min_provisioned_throughput: 0, max_provisioned_throughput: 10 }] },
  });
  assert.equal(created.status, 200, created.text);
  await server.endpointReady('m');
  return server;
}

for (const family of ['llama', 'llama2', 'mistral', 'qwen2', 'qwen3', 'deepseek']) {
  test(`${family}: the converted model says what the weights say`, async (t) => {
    const folder = join(temporaryFolder(t), 'm');
    const model = makeModel(folder, family, { seed: 7 });
    const server = await serve(t, folder, ['--task', 'llm/v1/completions']);
    // Tokens of one printable character, so that a text tells its tokens.
    const { keys } = readGguf(readFileSync(join(server.dataDirectory, 'converted/main.test.m-1.gguf')));
    const allowed = keys['tokenizer.ggml.tokens'].flatMap((token, id) => (/^[!-~]$/.test(token) ? [id] : []));
    const bias = {};
    keys['tokenizer.ggml.tokens'].forEach((_, id) => {
      if (!allowed.includes(id)) bias[id] = -100;
    });
    const prompt = [allowed[3], allowed[20], allowed[11], allowed[20], allowed[5]];
    const { status, json, text } = await server.call('POST', '/v1/completions', {
      model: 'm', prompt, max_tokens: 24, temperature: 0, ignore_eos: true, logit_bias: bias });
    assert.equal(status, 200, text);
    const expected = greedy(model, prompt, 24, allowed);
    assert.equal(json.choices[0].text, expected.map((id) => keys['tokenizer.ggml.tokens'][id]).join(''));
  });
}

for (const [kind, pool] of [['bge', (states) => states[0]],
  ['gte', (states) => states[0].map((_, i) => states.reduce((sum, state) => sum + state[i], 0) / states.length)]]) {
  test(`${kind}: the converted encoder gives the vectors that the weights give`, async (t) => {
    const folder = temporaryFolder(t);
    const model = makeModel(join(folder, 'm/model'), 'bert', { seed: 3 });
    mkdirSync(join(folder, 'm/components/tokenizer'), { recursive: true });
    for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
      renameSync(join(folder, 'm/model', name), join(folder, 'm/components/tokenizer', name));
    }
    writeFileSync(join(folder, 'm/MLmodel'), `
flavors:
  transformers:
    model_binary: model
    inference_task: llm/v1/embeddings
    source_model_name: org/${kind}-small
metadata:
  model_type: ${kind}-small
mlflow_version: 2.14.0
`);
    const server = await serve(t, join(folder, 'm'), []);
    const info = await server.call('GET', '/api/2.0/serving-endpoints/get-model-optimization-info/main.test.m/1');
    assert.equal(info.json.model_type, `${kind}-small`);
    const { json } = await server.call('POST', '/v1/embeddings', { model: 'm', input: 'the going b' });
    const words = wordPieces();
    const tokens = ['[CLS]', 'the', 'go', '##ing', 'b', '[SEP]'].map((word) => words.indexOf(word));
    const expected = pool(encode(model, tokens));
    const found = json.data[0].embedding;
    const length = (v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
    const cosine = expected.reduce((sum, x, i) => sum + x * found[i], 0) / length(expected) / length(found);
    assert.ok(cosine > 0.9999, `cosine ${cosine}`);
  });
}

// BGE-M3's kind: XLM-R with a unigram tokenizer. The tokens, too, are found here anew.
test('xlmr: the converted encoder cuts texts and gives vectors as the files say', async (t) => {
  const folder = join(temporaryFolder(t), 'bge-m3');
  const model = makeModel(folder, 'xlmr', { seed: 5 });
  const server = await serve(t, folder, ['--task', 'llm/v1/embeddings']);
  // Blanks at the ends and several of them, a wide letter that is made a usual one, an unknown one.
  for (const [text, normal] of [['the going b', '▁the▁going▁b'], ['  the   inｇo ', '▁the▁ingo'], ['goß', '▁goß']]) {
    const { json, text: answer } = await server.call('POST', '/v1/embeddings', { model: 'm', input: text });
    const tokens = [0, ...unigram(unigramPieces(), normal), 2];
    assert.equal(json?.usage.prompt_tokens, tokens.length, answer);
    const expected = encode(model, tokens)[0];
    const found = json.data[0].embedding;
    const length = (v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
    const cosine = expected.reduce((sum, x, i) => sum + x * found[i], 0) / length(expected) / length(found);
    assert.ok(cosine > 0.9999, `${text}: cosine ${cosine}`);
  }
});

test('broken folders are refused with the file and the numbers, and leave nothing behind', async (t) => {
  const folder = temporaryFolder(t);
  const source = join(folder, 'm');
  makeModel(source, 'qwen2');
  const output = join(folder, 'm.gguf');
  const refused = async (pattern) => {
    const made = await run(['model', 'convert', source, '--output', output]);
    assert.equal(made.code, 2);
    assert.match(made.stderr, pattern);
    assert.deepEqual(readdirSync(folder), ['m']);
  };
  truncateSync(join(source, 'model.safetensors'), 5000);
  await refused(/model\.safetensors: .*(cut off|outside)/);
  writeFileSync(join(source, 'model.safetensors'), 'not safetensors at all');
  await refused(/model\.safetensors: .*head would have \d+ bytes/);
  writeFileSync(join(source, 'config.json'), '{"architectures":["GPT2LMHeadModel"]}');
  await refused(/GPT2LMHeadModel cannot be converted.*LlamaForCausalLM/);
});
