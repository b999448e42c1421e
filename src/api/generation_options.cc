// Sampling, limits, stops and streaming: what chat and text completion share.
#include "api/generation_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "api/logprobs.h"

namespace penstock::internal {
namespace {

namespace dom = simdjson::dom;

constexpr std::int32_t kInt32Max = std::numeric_limits<std::int32_t>::max();

std::optional<TokenId> TokenIdOf(std::string_view text) {
  TokenId id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size() || id < 0) return std::nullopt;
  return id;
}

// `{"<token id>": bias}`.
void ReadLogitBias(ObjectReader& in, Sampling& sampling) {
  const auto value = in.Find("logit_bias");
  if (!value) return;
  dom::object object;
  if (value->get_object().get(object)) return in.RefuseType("logit_bias", "an object", *value);
  auto& biases = sampling.logit_bias;
  for (const dom::key_value_pair field : object) {
    const std::string path = fmt::format("logit_bias.{}", field.key.substr(0, 16));
    const auto id = TokenIdOf(field.key);
    double bias = 0;
    if (!id) {
      return RefuseAt(in.failure(), "logit_bias",
                      fmt::format("each key of `logit_bias` must be a token id, not \"{}\"",
                                  field.key.substr(0, 64)));
    }
    if (field.value.get_double().get(bias) || bias < -100 || bias > 100) {
      return RefuseTypeAt(in.failure(), path, "a number in [-100, 100]", field.value);
    }
    if (biases.size() == kLogitBiasesMax) {
      return in.Refuse("logit_bias",
                       fmt::format("`logit_bias` has more than {} entries", kLogitBiasesMax));
    }
    biases.emplace_back(*id, bias);
  }
  std::ranges::sort(biases);
  const auto twice = std::ranges::adjacent_find(
      biases, [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice != biases.end()) {
    in.Refuse("logit_bias", fmt::format("`logit_bias` gives token {} twice", twice->first));
  }
}

void ReadSampling(ObjectReader& in, Sampling& sampling) {
  in.Read("temperature", sampling.temperature, {.low = 0, .high = 2});
  in.Read("top_p", sampling.top_p, {.low = 0, .high = 1, .above_low = true});
  in.Read("top_k", sampling.top_k, -1, kInt32Max);
  sampling.top_k = std::max(sampling.top_k, 0);
  in.Read("min_p", sampling.min_p, {.low = 0, .high = 1});
  in.Read("presence_penalty", sampling.presence_penalty, {.low = -2, .high = 2});
  in.Read("frequency_penalty", sampling.frequency_penalty, {.low = -2, .high = 2});
  in.Read("repetition_penalty", sampling.repetition_penalty,
          {.low = 0, .high = 10, .above_low = true});
  if (in.Find("seed")) {
    std::int64_t seed = 0;
    in.Read("seed", seed, std::numeric_limits<std::int64_t>::min(),
            std::numeric_limits<std::int64_t>::max());
    sampling.seed = seed;
  }
  ReadLogitBias(in, sampling);
}

void ReadTokenLimits(ObjectReader& in, GenerationOptions& options) {
  for (const std::string_view name : {"max_tokens", "max_completion_tokens"}) {
    if (!in.Find(name)) continue;
    std::int32_t limit = 0;
    in.Read(name, limit, 1, kInt32Max);
    options.tokens_max = std::min(limit, options.tokens_max.value_or(limit));
  }
  in.Read("min_tokens", options.tokens_min, 0, options.tokens_max.value_or(kInt32Max));
}

void AddStop(ObjectReader& in, std::string path, dom::element value, GenerationOptions& options) {
  std::string_view text;
  if (value.get_string().get(text)) return RefuseTypeAt(in.failure(), path, "a string", value);
  if (text.empty()) {
    return RefuseAt(in.failure(), path, fmt::format("`{}` must not be empty", path));
  }
  options.stop.emplace_back(text);
}

void ReadStop(ObjectReader& in, GenerationOptions& options) {
  const auto value = in.Find("stop");
  if (!value) return;
  if (value->is_string()) return AddStop(in, "stop", *value, options);
  dom::array list;
  if (value->get_array().get(list)) {
    return in.RefuseType("stop", "a string or a list of strings", *value);
  }
  if (list.size() > kStopsMax) {
    return in.Refuse(
        "stop", fmt::format("`stop` must hold at most {} strings, not {}", kStopsMax, list.size()));
  }
  std::size_t index = 0;
  for (const dom::element item : list) AddStop(in, ItemPath("stop", index++), item, options);
}

void ReadStreaming(ObjectReader& in, GenerationOptions& options) {
  in.Read("stream", options.stream);
  const auto value = in.Find("stream_options");
  if (!value) return;
  dom::object object;
  if (value->get_object().get(object)) return in.RefuseType("stream_options", "an object", *value);
  if (!options.stream) {
    return in.Refuse("stream_options", "`stream_options` is only allowed with `stream`: true");
  }
  ObjectReader inner(object, "stream_options", in.failure());
  inner.Read("include_usage", options.include_usage);
}

// What would change the answer and cannot be had is refused, not ignored. Values that ask for
// nothing pass.
void RefuseUnsupported(ObjectReader& in) {
  const auto value = in.Find("functions");
  dom::array list;
  if (value && (value->get_array().get(list) || list.size() != 0)) {
    in.Refuse("functions", "`functions` is not supported: `tools` is");
  }
}

// Chat asks with `logprobs`: true and `top_logprobs`, completions with `logprobs`: a number.
void ReadLogprobs(ObjectReader& in, GenerationOptions& options) {
  const auto value = in.Find("logprobs");
  bool wanted = false;
  if (value && value->is_bool()) {
    in.Read("logprobs", wanted);
    if (wanted) options.top_logprobs = 0;
  } else if (value) {
    std::int32_t top = 0;
    in.Read("logprobs", top, 0, kTopLogprobsMax);
    options.top_logprobs = top;
  }
  if (!in.Find("top_logprobs")) return;
  if (!wanted) {
    return in.Refuse("top_logprobs", "`top_logprobs` is only allowed with `logprobs`: true");
  }
  std::int32_t top = 0;
  in.Read("top_logprobs", top, 0, kTopLogprobsMax);
  options.top_logprobs = top;
}

void ReadChoices(ObjectReader& in, GenerationOptions& options) {
  in.Read("n", options.n, 1, kChoicesMax);
  options.best_of = options.n;
  in.Read("best_of", options.best_of, 1, kChoicesMax);
  if (options.best_of < options.n) {
    in.Refuse("best_of", fmt::format("`best_of` must be at least `n` ({}), not {}", options.n,
                                     options.best_of));
  }
  if (options.best_of > options.n && options.stream) {
    in.Refuse("best_of", "`best_of` above `n` cannot be streamed: the best is known at the end");
  }
}

}  // namespace

void ReadGenerationOptions(ObjectReader& in, GenerationOptions& options) {
  ReadSampling(in, options.sampling);
  ReadTokenLimits(in, options);
  ReadStop(in, options);
  ReadStreaming(in, options);
  ReadChoices(in, options);
  ReadLogprobs(in, options);
  in.Read("ignore_eos", options.ignore_eos);
  in.Read("user", options.user);
  ReadResponseFormat(in, options);
  RefuseUnsupported(in);
}

}  // namespace penstock::internal
