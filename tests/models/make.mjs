// Small models with made-up weights, as Hugging Face writes their folders.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { writeSafetensors } from './safetensors.mjs';

// Mulberry32: the same numbers on every machine.
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
}

// GPT-2's way to write any byte as a visible character.
function byteCharacters() {
  const plain = (b) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(plain(b) ? b : next++));
}

const kDigits = { llama: '\\p{N}{1,3}', qwen: '\\p{N}' };
const pattern = (digits) => "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" + digits +
  '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

const kMerges = ['t h', 'th e', 'i n', 'e r', 'a n', 'Ġ the', 'an d', 'Ġ a', 'in g', '1 2'];

const kSpecial = {
  llama: ['<|begin_of_text|>', '<|end_of_text|>', '<|eot_id|>'],
  qwen: ['<|endoftext|>', '<|im_start|>', '<|im_end|>'],
  deepseek: ['<｜begin▁of▁sentence｜>', '<｜end▁of▁sentence｜>', '<｜tool▁calls▁begin｜>'],
};

// Byte pairs, as Llama 3, Qwen and DeepSeek-R1's distills of Qwen have them.
export function bytePairTokenizer(kind) {
  const vocab = {};
  for (const character of byteCharacters()) vocab[character] = Object.keys(vocab).length;
  for (const merge of kMerges) vocab[merge.replace(' ', '')] = Object.keys(vocab).length;
  const size = Object.keys(vocab).length;
  const special = kSpecial[kind];
  const bos = { SpecialToken: { id: special[0], type_id: 0 } };
  return {
    tokenizer: {
      added_tokens: special.map((content, i) => ({ id: size + i, content, special: kind !== 'deepseek' || i < 2 })),
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: pattern(kDigits[kind] ?? kDigits.qwen) }, behavior: 'Isolated' },
          { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
        ],
      },
      post_processor: kind === 'llama' ?
        { type: 'TemplateProcessing', single: [bos, { Sequence: { id: 'A', type_id: 0 } }] } : null,
      model: { type: 'BPE', vocab, merges: kind === 'llama' ? kMerges : kMerges.map((m) => m.split(' ')) },
    },
    config: {
      bos_token: { llama: special[0], qwen: null, deepseek: { content: special[0] } }[kind],
      eos_token: { llama: special[2], qwen: { content: special[2] }, deepseek: { content: special[1] } }[kind],
      ...(kind === 'deepseek' ? { add_bos_token: true, add_eos_token: false } : {}),
      chat_template: "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}",
    },
    size: size + special.length,
  };
}

function varint(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}
const block = (field, bytes) => Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);

// SentencePiece's byte pairs, as Llama 2 and Mistral have them: the pieces of a tokenizer.model.
export function sentencePieces() {
  const pieces = [['<unk>', 0, 2], ['<s>', 0, 3], ['</s>', 0, 3]];
  for (let b = 0; b < 256; ++b) {
    pieces.push([`<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`, 0, 6]);
  }
  ['▁t', 'in', '▁a', 'he', '▁the', 'er'].forEach((text, i) => pieces.push([text, -i, 1]));
  [...'▁abcdefghijklmnopqrstuvwxyz'].forEach((text, i) => pieces.push([text, -100 - i, 1]));
  return pieces;
}

export function sentencePieceFile(pieces) {
  const written = pieces.map(([text, score, type]) => {
    const number = Buffer.alloc(4);
    number.writeFloatLE(score);
    return block(1, Buffer.concat([
      block(1, Buffer.from(text)), varint(2 * 8 + 5), number, varint(3 * 8), varint(type)]));
  });
  const trainer = block(2, Buffer.concat([varint(3 * 8), varint(2)]));
  return Buffer.concat([...written, trainer, block(3, Buffer.concat([varint(3 * 8), varint(1)]))]);
}

export function wordPieces() {
  const words = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'the', 'go', '##ing', '##s'];
  for (const letter of 'abcdefghijklmnopqrstuvwxyz') words.push(letter, `##${letter}`);
  return words;
}

// A table that makes one character another, as SentencePiece writes its own: a trie of 32-bit units
// (what its number is XORed with to find the next ones, << 10; a leaf's mark, 1 << 8; the byte that leads
// here), then the texts.
function characterMap(from, to) {
  const bytes = Buffer.from(from);
  const units = new Uint32Array((bytes.length + 2) * 256);
  let at = 0;
  bytes.forEach((byte, i) => {
    units[at] |= (((i + 1) * 256) ^ at) << 10;
    at = ((i + 1) * 256) ^ byte;
    units[at] = byte;
  });
  units[at] |= ((((bytes.length + 1) * 256) ^ at) << 10) | (1 << 8);  // Its value, in the next block: 0.
  const size = Buffer.alloc(4);
  size.writeUInt32LE(units.byteLength);
  return Buffer.concat([size, Buffer.from(units.buffer), Buffer.from(`${to}\0`)]).toString('base64');
}

// A unigram model, as XLM-R and BGE-M3 have it: pieces with the logarithms of their probabilities.
export function unigramPieces() {
  const pieces = [['<s>', 0], ['<pad>', 0], ['</s>', 0], ['<unk>', 0]];
  [['▁the', -3], ['▁go', -4], ['ing', -4.5], ['▁', -5], ['go', -6], ['▁going', -9.5], ['in', -5.5]].forEach((one) => pieces.push(one));
  [...'abcdefghijklmnopqrstuvwxyz'].forEach((letter, i) => pieces.push([letter, -7 - i / 10]));
  pieces.push(['<mask>', 0]);
  return pieces;
}

export function unigramTokenizer() {
  const pieces = unigramPieces();
  const special = ['<s>', '<pad>', '</s>', '<unk>', '<mask>'];
  return {
    added_tokens: special.map((content) =>
      ({ id: pieces.findIndex(([text]) => text === content), content, special: true })),
    normalizer: { type: 'Sequence', normalizers: [
      { type: 'Precompiled', precompiled_charsmap: characterMap('ｇ', 'g') },
      { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }] },
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    post_processor: { type: 'TemplateProcessing', single: [
      { SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '</s>', type_id: 0 } }] },
    model: { type: 'Unigram', unk_id: 3, vocab: pieces, byte_fallback: false },
  };
}

const kSizes = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 512,
};

// Weights of a decoder, by the names that transformers gives them.
function decoderTensors(config, family, dtype, random) {
  const tensors = {};
  const head = config.head_dim ?? config.hidden_size / config.num_attention_heads;
  const add = (name, shape, centre = 0, width = 0.3) => {
    const count = shape.reduce((a, b) => a * b, 1);
    tensors[name] = { dtype, shape, data: Array.from({ length: count }, () => centre + width * (random() - 0.5)) };
  };
  const linear = (name, rows, columns, bias = false) => {
    add(`${name}.weight`, [rows, columns]);
    if (bias) add(`${name}.bias`, [rows]);
  };
  const { hidden_size: width, intermediate_size: inner } = config;
  add('model.embed_tokens.weight', [config.vocab_size, width], 0, 1);
  for (let i = 0; i < config.num_hidden_layers; ++i) {
    const layer = `model.layers.${i}`;
    add(`${layer}.input_layernorm.weight`, [width], 1);
    const biased = config.model_type === 'qwen2';
    linear(`${layer}.self_attn.q_proj`, config.num_attention_heads * head, width, biased);
    linear(`${layer}.self_attn.k_proj`, config.num_key_value_heads * head, width, biased);
    linear(`${layer}.self_attn.v_proj`, config.num_key_value_heads * head, width, biased);
    linear(`${layer}.self_attn.o_proj`, width, config.num_attention_heads * head);
    if (family === 'qwen3') {
      add(`${layer}.self_attn.q_norm.weight`, [head], 1);
      add(`${layer}.self_attn.k_norm.weight`, [head], 1);
    }
    add(`${layer}.post_attention_layernorm.weight`, [width], 1);
    linear(`${layer}.mlp.gate_proj`, inner, width);
    linear(`${layer}.mlp.up_proj`, inner, width);
    linear(`${layer}.mlp.down_proj`, width, inner);
  }
  add('model.norm.weight', [width], 1);
  if (!config.tie_word_embeddings) add('lm_head.weight', [config.vocab_size, width], 0, 1);
  return tensors;
}

function encoderTensors(config, dtype, random) {
  const tensors = {};
  const add = (name, shape, centre = 0, width = 0.3) => {
    const count = shape.reduce((a, b) => a * b, 1);
    tensors[name] = { dtype, shape, data: Array.from({ length: count }, () => centre + width * (random() - 0.5)) };
  };
  const linear = (name, rows, columns) => {
    add(`${name}.weight`, [rows, columns]);
    add(`${name}.bias`, [rows]);
  };
  const norm = (name) => {
    add(`${name}.weight`, [width], 1);
    add(`${name}.bias`, [width]);
  };
  const { hidden_size: width, intermediate_size: inner } = config;
  add('embeddings.word_embeddings.weight', [config.vocab_size, width], 0, 1);
  add('embeddings.position_embeddings.weight', [config.max_position_embeddings, width]);
  add('embeddings.token_type_embeddings.weight', [config.type_vocab_size, width]);
  norm('embeddings.LayerNorm');
  for (let i = 0; i < config.num_hidden_layers; ++i) {
    const layer = `encoder.layer.${i}`;
    for (const part of ['query', 'key', 'value']) linear(`${layer}.attention.self.${part}`, width, width);
    linear(`${layer}.attention.output.dense`, width, width);
    norm(`${layer}.attention.output.LayerNorm`);
    linear(`${layer}.intermediate.dense`, inner, width);
    linear(`${layer}.output.dense`, width, inner);
    norm(`${layer}.output.LayerNorm`);
  }
  linear('pooler.dense', width, width);
  return tensors;
}

const kFamilies = {
  llama: { architectures: ['LlamaForCausalLM'], model_type: 'llama', rope_theta: 10000,
    rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4,
      original_max_position_embeddings: 64 } },
  llama2: { architectures: ['LlamaForCausalLM'], model_type: 'llama', num_key_value_heads: 4, rope_theta: 10000 },
  deepseek: { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', rope_theta: 10000 },
  mistral: { architectures: ['MistralForCausalLM'], model_type: 'mistral', rope_theta: 10000 },
  qwen2: { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', rope_theta: 1000000,
    tie_word_embeddings: true },
  qwen3: { architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3', rope_theta: 1000000, head_dim: 32 },
  xlmr: { architectures: ['XLMRobertaModel'], model_type: 'xlm-roberta', type_vocab_size: 1,
    layer_norm_eps: 1e-5, pad_token_id: 1, max_position_embeddings: 514 },
  bert: { architectures: ['BertModel'], model_type: 'bert', type_vocab_size: 2, layer_norm_eps: 1e-12 },
};

// Writes a model of the family into `folder`: {config, tensors}.
export function makeModel(folder, family, { dtype = 'F32', seed = 1, shards = 1 } = {}) {
  mkdirSync(folder, { recursive: true });
  const write = (name, content) => {
    const text = Buffer.isBuffer(content) || typeof content === 'string' ? content : JSON.stringify(content);
    writeFileSync(join(folder, name), text);
  };
  let size;
  if (family === 'bert') {
    const words = wordPieces();
    size = words.length;
    write('tokenizer.json', {
      normalizer: { type: 'BertNormalizer', lowercase: true },
      model: { type: 'WordPiece', vocab: Object.fromEntries(words.map((word, i) => [word, i])) },
    });
    write('tokenizer_config.json', { cls_token: '[CLS]', sep_token: '[SEP]' });
  } else if (family === 'xlmr') {
    size = unigramPieces().length;
    write('tokenizer.json', unigramTokenizer());
    write('tokenizer_config.json', { bos_token: '<s>', eos_token: '</s>', cls_token: '<s>', sep_token: '</s>',
      unk_token: '<unk>', pad_token: '<pad>', mask_token: { content: '<mask>', lstrip: true } });
  } else if (['mistral', 'llama2'].includes(family)) {
    const pieces = sentencePieces();
    size = pieces.length;
    write('tokenizer.model', sentencePieceFile(pieces));
    write('tokenizer_config.json', { bos_token: '<s>', eos_token: '</s>', add_bos_token: true });
  } else {
    const made = bytePairTokenizer(['llama', 'deepseek'].includes(family) ? family : 'qwen');
    size = made.size + 3;  // Real models have embeddings that no token uses.
    write('tokenizer.json', made.tokenizer);
    write('tokenizer_config.json', made.config);
  }
  const config = { ...kSizes, vocab_size: size, rms_norm_eps: 1e-5, ...kFamilies[family] };
  write('config.json', config);
  const random = randomFrom(seed);
  const tensors = ['bert', 'xlmr'].includes(family) ? encoderTensors(config, dtype, random) :
    decoderTensors(config, family, dtype, random);
  if (shards === 1) {
    write('model.safetensors', writeSafetensors(tensors));
  } else {
    const map = {};
    for (let shard = 0; shard < shards; ++shard) {
      const name = `model-${shard + 1}-of-${shards}.safetensors`;
      const part = Object.entries(tensors).filter((_, i) => i % shards === shard);
      for (const [tensor] of part) map[tensor] = name;
      write(name, writeSafetensors(Object.fromEntries(part)));
    }
    write('model.safetensors.index.json', { weight_map: map });
  }
  return { config, tensors };
}
