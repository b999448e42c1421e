// Drawing the next token: penalties touch only tokens that were seen, filters select without
// sorting.
#include "engine/sampler.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/sampler_kernels.h"

namespace penstock::engine {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// Heavier first; the lower token first among equals, so that the cut never depends on the
// algorithm.
bool Heavier(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

Status CheckRange(const char* field, double value, double low, double high) {
  if (value >= low && value <= high) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("{} is {}, and must lie between {} and {}", field, value, low, high),
              field);
}

double MassOf(std::span<const Candidate> candidates) {
  return std::accumulate(candidates.begin(), candidates.end(), 0.0,
                         [](double sum, const Candidate& c) { return sum + c.weight; });
}

// Keeps the heaviest candidates whose weights first reach `mass` (quickselect by mass: linear on
// average), and at least one.
void KeepMass(std::vector<Candidate>& candidates, double mass) {
  std::size_t begin = 0;
  std::size_t end = candidates.size();
  while (end - begin > 1) {
    const std::size_t middle = begin + (end - begin) / 2;
    const auto first = candidates.begin();
    std::nth_element(first + begin, first + middle, first + end, Heavier);
    const double upper = MassOf(std::span(candidates).subspan(begin, middle - begin));
    if (upper >= mass) {
      end = middle;
    } else {
      mass -= upper;
      begin = middle;
    }
  }
  candidates.resize(std::max<std::size_t>(end, 1));
}

// All tokens whose weight is at least `least`.
void Gather(std::span<const float> weights, float least, std::vector<Candidate>& candidates) {
  candidates.clear();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] >= least && weights[i] > 0) {
      candidates.push_back({weights[i], static_cast<TokenId>(i)});
    }
  }
}

// The k heaviest tokens. The k-th greatest block maximum bounds the k-th greatest weight from
// below, so that few tokens are looked at twice.
void GatherTopK(std::span<const float> weights, std::size_t k, SamplerScratch& scratch) {
  scratch.block_sums.resize((weights.size() + 63) / 64);
  std::span<float> greatest(scratch.block_sums);
  float least = 0;
  if (k <= greatest.size()) {
    GreatestPerBlock(weights, greatest);
    std::nth_element(greatest.begin(), greatest.begin() + (k - 1), greatest.end(),
                     std::greater<>());
    least = greatest[k - 1];
  }
  Gather(weights, least, scratch.candidates);
  if (scratch.candidates.size() > k) {
    std::nth_element(scratch.candidates.begin(), scratch.candidates.begin() + (k - 1),
                     scratch.candidates.end(), Heavier);
    scratch.candidates.resize(k);
  }
}

}  // namespace

Likelihood LikelihoodOf(std::span<const float> logits, TokenId token, int top,
                        SamplerScratch& scratch) {
  const float greatest = Greatest(logits);
  scratch.weights.resize(logits.size());
  scratch.block_sums.resize((logits.size() + kBlock - 1) / kBlock);
  Weigh(logits, greatest, 1, scratch.weights, scratch.block_sums);
  const double total = std::accumulate(scratch.block_sums.begin(), scratch.block_sums.end(), 0.0);
  // By the logits, not by the weights: those of unlikely tokens are zero.
  const double shift = greatest + std::log(total);
  const auto logprob = [&](TokenId of) {
    return static_cast<float>(logits[static_cast<std::size_t>(of)] - shift);
  };
  Likelihood likelihood{.token = token, .logprob = logprob(token)};
  const auto count = std::min(static_cast<std::size_t>(top), logits.size());
  if (count == 0) return likelihood;
  GatherTopK(scratch.weights, count, scratch);
  std::ranges::sort(scratch.candidates, Heavier);
  for (const Candidate& candidate : scratch.candidates) {
    likelihood.top.emplace_back(candidate.token, logprob(candidate.token));
  }
  return likelihood;
}

Status ValidateSampling(const SamplingOptions& options, int vocabulary_size) {
  struct Range {
    const char* field;
    double value, low, high;
  };
  const Range ranges[] = {
      {"temperature", options.temperature, 0, 100},
      {"top_p", options.top_p, 0, 1},
      {"min_p", options.min_p, 0, 1},
      {"presence_penalty", options.presence_penalty, -2, 2},
      {"frequency_penalty", options.frequency_penalty, -2, 2},
      {"repeat_penalty", options.repeat_penalty, 0.01, 100},
      {"top_k", static_cast<double>(options.top_k), 0, std::numeric_limits<int>::max()},
  };
  for (const Range& range : ranges) {
    if (Status ok = CheckRange(range.field, range.value, range.low, range.high); !ok) return ok;
  }
  for (const auto& [token, bias] : options.logit_bias) {
    if (token < 0 || token >= vocabulary_size) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("logit_bias names token {}; the vocabulary has {} tokens", token,
                              vocabulary_size),
                  "logit_bias");
    }
    if (Status ok = CheckRange("logit_bias", bias, -100, 100); !ok) return ok;
  }
  return {};
}

Sampler::Sampler(SamplingOptions options, std::uint64_t seed, std::span<const TokenId> prompt)
    : options_(std::move(options)),
      random_(options_.seed.value_or(seed)),
      penalised_(options_.presence_penalty != 0 || options_.frequency_penalty != 0 ||
                 options_.repeat_penalty != 1.0) {
  if (options_.repeat_penalty == 1.0) return;
  for (const TokenId token : prompt) seen_.try_emplace(token);
}

TokenId Sampler::Sample(std::span<float> logits, std::span<const TokenId> banned,
                        SamplerScratch& scratch) {
  Adjust(logits, banned);
  const TokenId token = Draw(logits, scratch);
  if (penalised_) ++seen_[token].generated;
  return token;
}

std::optional<TokenId> Sampler::Sample(std::span<float> logits, std::span<const TokenId> banned,
                                       TokenFilter& filter, SamplerScratch& scratch) {
  Adjust(logits, banned);
  TokenId token = Draw(logits, scratch);
  bool allowed = logits[static_cast<std::size_t>(token)] != kNever && filter.Allows(token);
  for (int redraws = 0; !allowed && redraws < kRedrawsMax; ++redraws) {
    logits[static_cast<std::size_t>(token)] = kNever;
    token = Draw(logits, scratch);
    allowed = logits[static_cast<std::size_t>(token)] != kNever && filter.Allows(token);
  }
  if (!allowed) {
    filter.Mask(logits);
    if (std::ranges::all_of(logits, [](float logit) { return logit == kNever; })) {
      return std::nullopt;
    }
    token = Draw(logits, scratch);
  }
  if (penalised_) ++seen_[token].generated;
  return token;
}

void Sampler::Adjust(std::span<float> logits, std::span<const TokenId> banned) const {
  const auto inside = [&](TokenId token) {
    return token >= 0 && static_cast<std::size_t>(token) < logits.size();
  };
  for (const auto& [token, bias] : options_.logit_bias) {
    if (inside(token)) logits[token] += bias;
  }
  const auto repeat = static_cast<float>(options_.repeat_penalty);
  for (const auto& [token, seen] : seen_) {
    if (!inside(token)) continue;
    float& logit = logits[token];
    logit = logit > 0 ? logit / repeat : logit * repeat;
    if (seen.generated > 0) {
      logit -= static_cast<float>(options_.presence_penalty +
                                  options_.frequency_penalty * seen.generated);
    }
  }
  for (const TokenId token : banned) {
    if (inside(token)) logits[token] = kNever;
  }
}

TokenId Sampler::Draw(std::span<const float> logits, SamplerScratch& scratch) {
  const float greatest = Greatest(logits);
  if (!(greatest > kNever) || std::isinf(greatest)) {
    // All banned or not numbers: any answer is noise; the first that is not banned is a stable one.
    const auto allowed = std::ranges::find_if(logits, [](float x) { return x != kNever; });
    return static_cast<TokenId>(allowed == logits.end() ? 0 : allowed - logits.begin());
  }
  if (options_.temperature == 0 || options_.top_k == 1 || options_.top_p == 0) {
    return static_cast<TokenId>(PositionOf(logits, greatest));
  }
  const bool filtered =
      options_.top_p < 1 || options_.min_p > 0 ||
      (options_.top_k > 0 && static_cast<std::size_t>(options_.top_k) < logits.size());
  scratch.weights.resize(logits.size());
  scratch.block_sums.resize((logits.size() + kBlock - 1) / kBlock);
  Weigh(logits, greatest, static_cast<float>(1.0 / options_.temperature), scratch.weights,
        scratch.block_sums);
  if (filtered) return DrawFiltered(logits, greatest, scratch);

  const double total = std::accumulate(scratch.block_sums.begin(), scratch.block_sums.end(), 0.0);
  double left = random_.Uniform() * total;
  std::size_t block = 0;
  while (block + 1 < scratch.block_sums.size() && left >= scratch.block_sums[block]) {
    left -= scratch.block_sums[block++];
  }
  std::size_t last =
      PositionOf(logits, greatest);  // Rounding may leave a rest past the last weight.
  for (std::size_t i = block * kBlock; i < logits.size(); ++i) {
    if (scratch.weights[i] <= 0) continue;
    last = i;
    left -= scratch.weights[i];
    if (left < 0) break;
  }
  return static_cast<TokenId>(last);
}

TokenId Sampler::DrawFiltered(std::span<const float> logits, float greatest,
                              SamplerScratch& scratch) {
  const auto least = static_cast<float>(options_.min_p);  // The heaviest weight is 1.
  std::vector<Candidate>& candidates = scratch.candidates;
  if (options_.top_k > 0 && static_cast<std::size_t>(options_.top_k) < logits.size()) {
    GatherTopK(scratch.weights, static_cast<std::size_t>(options_.top_k), scratch);
    if (options_.top_p < 1) KeepMass(candidates, options_.top_p * MassOf(candidates));
    std::erase_if(candidates, [least](const Candidate& c) { return c.weight < least; });
  } else if (options_.top_p < 1) {
    const double total = std::accumulate(scratch.block_sums.begin(), scratch.block_sums.end(), 0.0);
    // Tokens lighter than this weigh less than (1 - top_p) together: none of them is in the
    // nucleus.
    const double light = (1 - options_.top_p) * total / static_cast<double>(logits.size());
    Gather(scratch.weights, static_cast<float>(light * 0.999), candidates);
    KeepMass(candidates, options_.top_p * total);
    std::erase_if(candidates, [least](const Candidate& c) { return c.weight < least; });
  } else {
    Gather(scratch.weights, least, candidates);
  }
  if (candidates.empty()) return static_cast<TokenId>(PositionOf(logits, greatest));
  // By token, so that the draw does not depend on the order in which selection left them.
  std::ranges::sort(candidates, {}, &Candidate::token);
  double left = random_.Uniform() * MassOf(candidates);
  for (const Candidate& candidate : candidates) {
    left -= candidate.weight;
    if (left < 0) return candidate.token;
  }
  return candidates.back().token;
}

}  // namespace penstock::engine
