#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "engine/sampler_kernels.h"

namespace penstock::engine {
namespace {

std::vector<float> RandomLogits(Random& random, std::size_t size, double spread) {
  std::vector<float> logits(size);
  for (float& logit : logits) logit = static_cast<float>((random.Uniform() - 0.5) * spread);
  return logits;
}

// The definition, with a full sort and doubles: the tokens that may be drawn, with their
// probabilities.
std::map<TokenId, double> Reference(const std::vector<float>& logits,
                                    const SamplingOptions& options) {
  std::vector<TokenId> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](TokenId a, TokenId b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  if (options.top_k > 0 && static_cast<std::size_t>(options.top_k) < order.size()) {
    order.resize(static_cast<std::size_t>(options.top_k));
  }
  const double top = logits[order[0]];
  const auto weight = [&](TokenId t) { return std::exp((logits[t] - top) / options.temperature); };
  const auto mass = [&] {
    return std::accumulate(order.begin(), order.end(), 0.0,
                           [&](double sum, TokenId t) { return sum + weight(t); });
  };
  double wanted = options.top_p * mass();
  std::map<TokenId, double> kept;
  for (const TokenId token : order) {
    if (options.top_p < 1 && wanted <= 0) break;
    wanted -= weight(token);
    if (weight(token) >= options.min_p) kept[token] = weight(token);
  }
  double total = 0;
  for (const auto& [token, value] : kept) total += value;
  for (auto& [token, value] : kept) value /= total;
  return kept;
}

TEST(SamplerKernels, AgreeWithTheLibrary) {
  Random random(7);
  for (const std::size_t size : {1u, 31u, 256u, 257u, 5000u}) {
    const std::vector<float> logits = RandomLogits(random, size, 200);
    const float greatest = Greatest(logits);
    EXPECT_EQ(greatest, *std::ranges::max_element(logits));
    EXPECT_EQ(logits[PositionOf(logits, greatest)], greatest);
    std::vector<float> weights(size);
    std::vector<float> sums((size + kBlock - 1) / kBlock);
    Weigh(logits, greatest, 0.7F, weights, sums);
    double total = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const double exact = std::exp((static_cast<double>(logits[i]) - greatest) * 0.7);
      EXPECT_NEAR(weights[i], exact, 1e-37 + 3e-5 * exact) << logits[i];
      total += weights[i];
    }
    EXPECT_NEAR(std::accumulate(sums.begin(), sums.end(), 0.0), total, 1e-4 * total);
  }
}

TEST(SamplerKernels, WeighNothingThatIsNotANumber) {
  const std::vector<float> logits = {1, -std::numeric_limits<float>::infinity(),
                                     std::numeric_limits<float>::quiet_NaN()};
  EXPECT_EQ(Greatest(logits), 1);
  std::vector<float> weights(3);
  std::vector<float> sums(1);
  Weigh(logits, 1, 1, weights, sums);
  EXPECT_EQ(weights, (std::vector<float>{1, 0, 0}));
}

TEST(Sampler, ZeroTemperatureTakesTheGreatest) {
  SamplerScratch scratch;
  Sampler sampler({.temperature = 0}, 1, {});
  std::vector<float> logits = {0.1F, 3, 2, 3};
  EXPECT_EQ(sampler.Sample(logits, {}, scratch), 1);
}

TEST(Sampler, SurvivesLogitsThatAreNotNumbers) {
  SamplerScratch scratch;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Sampler sampler({}, 1, {});
  std::vector<float> logits = {nan, nan, nan};
  const TokenId banned[] = {0};
  EXPECT_EQ(sampler.Sample(logits, banned, scratch), 1);
}

// Draws often and compares with the exact distribution; every filter alone and mixed.
TEST(Sampler, DrawsFromTheDistributionThatTheFiltersLeave) {
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    SamplingOptions options;
    options.temperature = 0.3 + random.Uniform();
    if (random.Below(2) == 0) options.top_k = 1 + static_cast<int>(random.Below(100));
    if (random.Below(2) == 0) options.top_p = 0.05 + 0.9 * random.Uniform();
    if (random.Below(2) == 0) options.min_p = 0.3 * random.Uniform();
    const std::vector<float> logits = RandomLogits(random, 1 + random.Below(700), 12);
    const std::map<TokenId, double> expected = Reference(logits, options);
    Sampler sampler(options, seed, {});
    SamplerScratch scratch;
    std::map<TokenId, int> drawn;
    constexpr int kDraws = 2000;
    for (int i = 0; i < kDraws; ++i) {
      std::vector<float> copy = logits;
      ++drawn[sampler.Sample(copy, {}, scratch)];
    }
    for (const auto& [token, count] : drawn) {
      const auto found = expected.find(token);
      ASSERT_NE(found, expected.end()) << "token " << token << " should have been filtered";
      const double share = found->second;
      const double deviation = std::sqrt(share * (1 - share) / kDraws);
      ASSERT_NEAR(static_cast<double>(count) / kDraws, share, 6 * deviation + 1e-3) << token;
    }
  }
}

TEST(Sampler, TheSameSeedDrawsTheSame) {
  Random random(3);
  const std::vector<float> logits = RandomLogits(random, 1000, 4);
  const auto draw = [&](std::uint64_t seed) {
    Sampler sampler({.seed = seed}, 99, {});
    SamplerScratch scratch;
    std::vector<TokenId> tokens;
    for (int i = 0; i < 20; ++i) {
      std::vector<float> copy = logits;
      tokens.push_back(sampler.Sample(copy, {}, scratch));
    }
    return tokens;
  };
  EXPECT_EQ(draw(5), draw(5));
  EXPECT_NE(draw(5), draw(6));
}

TEST(Sampler, PenaltiesPushAwayWhatWasSeen) {
  SamplerScratch scratch;
  const auto run = [&scratch](SamplingOptions options, std::vector<TokenId> prompt) {
    options.temperature = 0;
    Sampler sampler(options, 1, prompt);
    std::vector<TokenId> tokens;
    for (int i = 0; i < 4; ++i) {
      std::vector<float> logits = {2.0F, 1.9F, 1.5F, -3.0F};
      tokens.push_back(sampler.Sample(logits, {}, scratch));
    }
    return tokens;
  };
  using Tokens = std::vector<TokenId>;
  EXPECT_EQ(run({}, {0}), (Tokens{0, 0, 0, 0}));
  EXPECT_EQ(run({.presence_penalty = 0.2}, {0}), (Tokens{0, 1, 0, 0}));
  EXPECT_EQ(run({.frequency_penalty = 0.2}, {0}), (Tokens{0, 1, 0, 1}));
  EXPECT_EQ(run({.repeat_penalty = 2.0}, {0}), (Tokens{1, 2, 0, 0}));
  EXPECT_EQ(run({.logit_bias = {{3, 50.0F}}}, {}), (Tokens{3, 3, 3, 3}));
}

TEST(Sampler, RangesAreNamed) {
  const Status hot = ValidateSampling({.temperature = -1}, 10);
  ASSERT_FALSE(hot.has_value());
  EXPECT_EQ(hot.error().message, "temperature is -1, and must lie between 0 and 100");
  EXPECT_EQ(hot.error().field, "temperature");
  EXPECT_FALSE(ValidateSampling({.top_p = 1.5}, 10).has_value());
  EXPECT_FALSE(ValidateSampling({.top_p = std::nan("")}, 10).has_value());
  EXPECT_FALSE(ValidateSampling({.logit_bias = {{10, 1.0F}}}, 10).has_value());
  EXPECT_TRUE(ValidateSampling({.logit_bias = {{9, -100.0F}}}, 10).has_value());
}

TEST(Likelihoods, AreTheLogarithmsOfTheSoftmax) {
  Random random(9);
  SamplerScratch scratch;
  for (int round = 0; round < 50; ++round) {
    std::vector<float> logits(1 + random.Below(3000));
    for (float& logit : logits) logit = static_cast<float>(40 * random.Uniform() - 20);
    double total = 0;
    for (const float logit : logits) total += std::exp(static_cast<double>(logit));
    const auto token = static_cast<TokenId>(random.Below(logits.size()));
    const Likelihood likelihood = LikelihoodOf(logits, token, 5, scratch);
    EXPECT_NEAR(likelihood.logprob, logits[static_cast<std::size_t>(token)] - std::log(total),
                1e-4);
    ASSERT_EQ(likelihood.top.size(), std::min<std::size_t>(5, logits.size()));
    std::vector<float> sorted = logits;
    std::ranges::sort(sorted, std::greater<>());
    for (std::size_t i = 0; i < likelihood.top.size(); ++i) {
      EXPECT_NEAR(likelihood.top[i].second, sorted[i] - std::log(total), 1e-4);
    }
  }
  EXPECT_TRUE(LikelihoodOf(std::vector<float>{1, 2}, 0, 0, scratch).top.empty());
}

// What is refused and drawn again leaves the rest of the distribution as it is.
TEST(Sampler, AFilterLeavesTheChancesOfWhatItAllows) {
  class Odd final : public TokenFilter {
   public:
    bool Allows(TokenId token) override { return token % 2 == 1; }
    void Mask(std::span<float> logits) override {
      ++masks;
      for (std::size_t i = 0; i < logits.size(); i += 2) {
        logits[i] = -std::numeric_limits<float>::infinity();
      }
    }
    int masks = 0;
  };
  const std::vector<float> logits = {2, 0, 2, 1, 2, 0.5F, 2, 0, 2, -1, 2, 2, 2, 0};
  double total = 0;
  for (std::size_t i = 1; i < logits.size(); i += 2) total += std::exp(logits[i]);
  Odd odd;
  Sampler sampler({}, 11, {});
  SamplerScratch scratch;
  std::vector<int> counts(logits.size());
  constexpr int kDraws = 40'000;
  for (int i = 0; i < kDraws; ++i) {
    std::vector<float> copy = logits;
    const auto token = sampler.Sample(copy, {}, odd, scratch);
    ASSERT_TRUE(token);
    ++counts[static_cast<std::size_t>(*token)];
  }
  EXPECT_GT(odd.masks, 0);
  EXPECT_LT(odd.masks, kDraws / 2);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double expected = i % 2 == 0 ? 0 : std::exp(logits[i]) / total;
    EXPECT_NEAR(counts[i] / static_cast<double>(kDraws), expected, 0.015) << i;
  }
}

TEST(Sampler, AFilterThatLeavesNothingIsTold) {
  class Nothing final : public TokenFilter {
   public:
    bool Allows(TokenId) override { return false; }
    void Mask(std::span<float> logits) override {
      std::ranges::fill(logits, -std::numeric_limits<float>::infinity());
    }
  };
  Nothing nothing;
  SamplerScratch scratch;
  std::vector<float> logits = {1, 2};
  EXPECT_FALSE(Sampler({}, 1, {}).Sample(logits, {}, nothing, scratch));
}

}  // namespace
}  // namespace penstock::engine
