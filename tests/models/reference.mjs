// The models computed in plain JavaScript from the weights as transformers lays them out: slow, apart
// from llama.cpp, and what a converted model is judged by.

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const add = (a, b) => a.map((x, i) => x + b[i]);

function linear(tensors, name, x) {
  const weight = tensors[`${name}.weight`].data;
  const bias = tensors[`${name}.bias`]?.data;
  return Array.from({ length: weight.length / x.length }, (_, row) => {
    let sum = bias ? bias[row] : 0;
    for (let i = 0; i < x.length; ++i) sum += weight[row * x.length + i] * x[i];
    return sum;
  });
}

function rms(x, weight, epsilon) {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + epsilon);
  return x.map((value, i) => value * scale * weight[i]);
}

function layerNorm(tensors, name, x, epsilon = 1e-12) {
  const mean = x.reduce((a, b) => a + b) / x.length;
  const centred = x.map((value) => value - mean);
  const scale = 1 / Math.sqrt(dot(centred, centred) / x.length + epsilon);
  const { data: weight } = tensors[`${name}.weight`];
  const { data: bias } = tensors[`${name}.bias`];
  return centred.map((value, i) => value * scale * weight[i] + bias[i]);
}

function softmax(scores) {
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

function frequencies(config, size) {
  const scaling = config.rope_scaling;
  return Array.from({ length: size / 2 }, (_, i) => {
    const frequency = config.rope_theta ** (-2 * i / size);
    if (scaling?.rope_type !== 'llama3') return frequency;
    const { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: old } = scaling;
    const wave = 2 * Math.PI / frequency;
    if (wave < old / high) return frequency;
    if (wave > old / low) return frequency / factor;
    const smooth = (old / wave - low) / (high - low);
    return (1 - smooth) * frequency / factor + smooth * frequency;
  });
}

// Turns (i, i + half) by position times frequency, as transformers does.
function rotate(x, position, turns) {
  const half = x.length / 2;
  const out = [...x];
  turns.forEach((turn, i) => {
    const [cos, sin] = [Math.cos(position * turn), Math.sin(position * turn)];
    out[i] = x[i] * cos - x[i + half] * sin;
    out[i + half] = x[i + half] * cos + x[i] * sin;
  });
  return out;
}

const heads = (x, size) => Array.from({ length: x.length / size }, (_, i) => x.slice(i * size, (i + 1) * size));

// A decoder with its cache of keys and values: feed tokens, get logits.
export class Decoder {
  constructor({ config, tensors }) {
    this.config = config;
    this.tensors = tensors;
    this.size = config.head_dim ?? config.hidden_size / config.num_attention_heads;
    this.turns = frequencies(config, this.size);
    this.cache = Array.from({ length: config.num_hidden_layers }, () => ({ keys: [], values: [] }));
  }

  #row(name, index) {
    const width = this.config.hidden_size;
    return Array.from(this.tensors[name].data.slice(index * width, (index + 1) * width));
  }

  #attention(layer, x, position) {
    const name = `model.layers.${layer}.self_attn`;
    const { tensors, config, size } = this;
    const normed = (list, which) => {
      const weight = tensors[`${name}.${which}_norm.weight`];
      return weight ? list.map((head) => rms(head, weight.data, config.rms_norm_eps)) : list;
    };
    const turned = (which) => normed(heads(linear(tensors, `${name}.${which}_proj`, x), size), which)
      .map((head) => rotate(head, position, this.turns));
    const { keys, values } = this.cache[layer];
    keys.push(turned('k'));
    values.push(heads(linear(tensors, `${name}.v_proj`, x), size));
    const group = config.num_attention_heads / config.num_key_value_heads;
    const mixed = turned('q').flatMap((query, head) => {
      const shared = Math.floor(head / group);
      const weights = softmax(keys.map((key) => dot(query, key[shared]) / Math.sqrt(size)));
      return Array.from({ length: size }, (_, i) =>
        weights.reduce((sum, weight, at) => sum + weight * values[at][shared][i], 0));
    });
    return linear(tensors, `${name}.o_proj`, mixed);
  }

  feed(token) {
    const { tensors, config } = this;
    const position = this.cache[0].keys.length;
    let x = this.#row('model.embed_tokens.weight', token);
    for (let i = 0; i < config.num_hidden_layers; ++i) {
      const layer = `model.layers.${i}`;
      const norm = (name, y) => rms(y, tensors[`${layer}.${name}.weight`].data, config.rms_norm_eps);
      x = add(x, this.#attention(i, norm('input_layernorm', x), position));
      const y = norm('post_attention_layernorm', x);
      const gate = linear(tensors, `${layer}.mlp.gate_proj`, y);
      const up = linear(tensors, `${layer}.mlp.up_proj`, y);
      x = add(x, linear(tensors, `${layer}.mlp.down_proj`,
        gate.map((g, j) => g / (1 + Math.exp(-g)) * up[j])));
    }
    const last = rms(x, tensors['model.norm.weight'].data, config.rms_norm_eps);
    const head = config.tie_word_embeddings ? 'model.embed_tokens' : 'lm_head';
    return linear({ 'h.weight': tensors[`${head}.weight`] }, 'h', last);
  }
}

// The best next tokens among `allowed`, one after the other.
export function greedy(model, prompt, count, allowed) {
  const decoder = new Decoder(model);
  let logits;
  for (const token of prompt) logits = decoder.feed(token);
  const chosen = [];
  for (;;) {
    const best = allowed.reduce((a, b) => (logits[b] > logits[a] ? b : a));
    chosen.push(best);
    if (chosen.length === count) return chosen;
    logits = decoder.feed(best);
  }
}

function erf(x) {  // Abramowitz and Stegun 7.1.26.
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const y = 1 - ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t *
    Math.exp(-x * x);
  return x >= 0 ? y : -y;
}
const gelu = (x) => x / 2 * (1 + erf(x / Math.SQRT2));

// An encoder's vectors, one for each token.
export function encode({ config, tensors }, tokens) {
  const width = config.hidden_size;
  const row = (name, index) => Array.from(tensors[`embeddings.${name}.weight`].data.slice(index * width, (index + 1) * width));
  const norm = (name, x) => layerNorm(tensors, name, x, config.layer_norm_eps);
  const first = config.pad_token_id === undefined ? 0 : config.pad_token_id + 1;  // XLM-R's positions.
  let states = tokens.map((token, position) => norm('embeddings.LayerNorm', add(add(
    row('word_embeddings', token), row('position_embeddings', first + position)), row('token_type_embeddings', 0))));
  const size = width / config.num_attention_heads;
  for (let i = 0; i < config.num_hidden_layers; ++i) {
    const layer = `encoder.layer.${i}`;
    const [queries, keys, values] = ['query', 'key', 'value'].map((part) =>
      states.map((x) => heads(linear(tensors, `${layer}.attention.self.${part}`, x), size)));
    states = states.map((x, at) => {
      const mixed = queries[at].flatMap((query, head) => {
        const weights = softmax(keys.map((key) => dot(query, key[head]) / Math.sqrt(size)));
        return Array.from({ length: size }, (_, j) => weights.reduce((sum, w, t) => sum + w * values[t][head][j], 0));
      });
      const y = norm(`${layer}.attention.output.LayerNorm`,
        add(x, linear(tensors, `${layer}.attention.output.dense`, mixed)));
      const inner = linear(tensors, `${layer}.intermediate.dense`, y).map(gelu);
      return norm(`${layer}.output.LayerNorm`, add(y, linear(tensors, `${layer}.output.dense`, inner)));
    });
  }
  return states;
}

// The most probable cut of a text into a unigram model's pieces: their ids.
export function unigram(pieces, text) {
  const ids = new Map(pieces.map(([piece], id) => [piece, id]));
  const best = [{ score: 0, cut: [] }];
  const least = Math.min(...pieces.map(([, score]) => score));
  const letters = [...text];
  for (let end = 1; end <= letters.length; ++end) {
    for (let start = 0; start < end; ++start) {
      const piece = letters.slice(start, end).join('');
      const id = ids.get(piece) ?? (end - start === 1 ? 3 : undefined);
      if (id === undefined) continue;
      const score = best[start].score + (id === 3 ? least - 10 : pieces[id][1]);
      if (!best[end] || score > best[end].score) best[end] = { score, cut: [...best[start].cut, id] };
    }
  }
  return best.at(-1).cut;
}
