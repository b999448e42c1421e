#include "bench/workload/workload.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <set>
#include <string>

#include "base/random.h"
#include "bench/drive/fake_model.h"

namespace penstock::bench {
namespace {

// With what a chat template adds.
int CountTokens(std::string_view text) { return 17 + testing::CountTokens(text); }

TEST(PromptFitter, ProposesByTheRatioThenCorrectsThenStraddles) {
  PromptFitter fitter(1000, {.bytes_per_token = 4, .overhead_tokens = 0});
  EXPECT_EQ(fitter.Propose(), 4000u);
  fitter.Observe(4000, 1100);
  EXPECT_EQ(fitter.error_tokens(), 100);
  EXPECT_EQ(fitter.Propose(), 3600u);  // 100 tokens of 4 bytes fewer.
  fitter.Observe(3600, 990);
  // Between (3600, 990) and (4000, 1100): 3600 + 400 × 10 / 110.
  EXPECT_EQ(fitter.Propose(), 3636u);
  fitter.Observe(3636, 1000);
  EXPECT_TRUE(fitter.settled());
  EXPECT_EQ(fitter.error_tokens(), 0);
  EXPECT_EQ(fitter.Propose(), 3636u);
}

TEST(PromptFitter, SettlesForTheCloserWhereNoLengthIsExact) {
  PromptFitter fitter(100, {.bytes_per_token = 4, .overhead_tokens = 0});
  fitter.Observe(400, 99);
  fitter.Observe(401, 103);
  EXPECT_TRUE(fitter.settled());
  EXPECT_EQ(fitter.Propose(), 400u);
  EXPECT_EQ(fitter.error_tokens(), 1);
}

TEST(PromptFitter, SettlesWhereCharactersCannotBeCutFiner) {
  PromptFitter fitter(100, {.bytes_per_token = 3, .overhead_tokens = 0});
  fitter.Observe(297, 99);
  fitter.Observe(303, 102);
  fitter.Observe(297, 99);  // 299 fell back to a character's border.
  EXPECT_TRUE(fitter.settled());
}

TEST(PromptFitter, TakesWhatIsWithinItsTolerance) {
  PromptFitter fitter(100, {}, 2);
  fitter.Observe(400, 98);
  EXPECT_TRUE(fitter.settled());
}

TEST(PromptFitter, NeverProposesNothing) {
  PromptFitter fitter(64, {.bytes_per_token = 4, .overhead_tokens = 500});
  EXPECT_EQ(fitter.Propose(), 1u);
  fitter.Observe(1, 501);  // A template longer than the prompt asked for.
  EXPECT_GE(fitter.Propose(), 1u);
}

TEST(PromptFitter, AServerThatLiesIsNotBelievedForEver) {
  for (const int lie : {0, 7, 1'000'000}) {
    PromptFitter fitter(2048, {});
    int rounds = 0;
    for (; !fitter.settled() && rounds < 100; ++rounds) {
      EXPECT_LE(fitter.Propose(), 2048 * kBytesPerTokenMax);
      fitter.Observe(fitter.Propose(), lie);
    }
    EXPECT_LE(rounds, 24) << lie;
    EXPECT_LE(fitter.Propose(), 2048 * kBytesPerTokenMax);
  }
}

// Any monotone tokenizer: the fitter settles within a few rounds at the best length there is.
TEST(PromptFitter, FindsTheLengthOfAnyText) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    Random random(seed);
    const double ratio = 2 + 5 * random.Uniform();
    const int overhead = static_cast<int>(random.Below(60));
    // Tokens end at irregular places.
    std::vector<std::size_t> ends{0};
    while (ends.size() < 4000) {
      ends.push_back(ends.back() + 1 + random.Below(static_cast<std::uint64_t>(2 * ratio)));
    }
    const auto count = [&](std::size_t bytes) {
      const auto whole = std::ranges::upper_bound(ends, bytes) - ends.begin();
      return overhead + static_cast<int>(whole);
    };
    const int target = 128 + static_cast<int>(random.Below(3000));
    PromptFitter fitter(target, {});
    int rounds = 0;
    for (; !fitter.settled() && rounds < 40; ++rounds) {
      fitter.Observe(fitter.Propose(), count(fitter.Propose()));
    }
    EXPECT_TRUE(fitter.settled());
    EXPECT_LE(rounds, 14);
    EXPECT_EQ(fitter.error_tokens(), 0);
  }
}

TEST(PromptPool, PromptsAreExactAfterAFewProbes) {
  const Corpus corpus = Corpus::Shipped();
  PromptPool pool(corpus, {.input_tokens = 2048, .bodies = 8, .seed = 3, .salt = 5});
  int probes = 0;
  while (const auto body = pool.NextToProbe()) {
    const Prompt prompt = pool.MakeWithBody(1'000'000 + static_cast<std::uint64_t>(probes), *body);
    pool.Observe(prompt, CountTokens(prompt.text));
    ASSERT_LT(++probes, 80);
  }
  EXPECT_EQ(pool.worst_error_tokens(), 0);
  EXPECT_LE(probes, 48);
  for (std::uint64_t id = 0; id < 200; ++id) {
    EXPECT_EQ(CountTokens(pool.Make(id).text), 2048) << id;
  }
}

TEST(PromptPool, OneProbeBringsAllBodiesNear) {
  const Corpus corpus = Corpus::Shipped();
  PromptPool pool(corpus, {.input_tokens = 2048});
  for (int round = 0; round < 3; ++round) {
    const Prompt probe = pool.MakeWithBody(static_cast<std::uint64_t>(round), 0);
    pool.Observe(probe, CountTokens(probe.text));
  }
  for (std::uint64_t id = 0; id < 100; ++id) {
    EXPECT_NEAR(CountTokens(pool.Make(id).text), 2048, 0.06 * 2048);
  }
}

TEST(PromptPool, NoTwoPromptsShareABeginning) {
  const Corpus corpus = Corpus::Shipped();
  const PromptPool pool(corpus, {.input_tokens = 128, .salt = 77});
  std::set<std::string> salts;
  for (std::uint64_t id = 0; id < 20'000; ++id) salts.insert(pool.Make(id).text.substr(0, 12));
  EXPECT_EQ(salts.size(), 20'000u);
  // Neighbours differ at the very front, where a cache would begin to match.
  int same_start = 0;
  for (std::uint64_t id = 0; id < 1000; ++id) {
    same_start += pool.Make(id).text.substr(0, 3) == pool.Make(id + 1).text.substr(0, 3) ? 1 : 0;
  }
  EXPECT_EQ(same_start, 0);
}

TEST(PromptPool, EqualSettingsGiveEqualPromptsAndTheSaltTellsRunsApart) {
  const Corpus corpus = Corpus::Shipped();
  const PromptPool one(corpus, {.seed = 9, .salt = 1});
  const PromptPool same(corpus, {.seed = 9, .salt = 1});
  const PromptPool later(corpus, {.seed = 9, .salt = 2});
  const PromptPool other(corpus, {.seed = 10, .salt = 1});
  EXPECT_EQ(one.Make(5).text, same.Make(5).text);
  EXPECT_NE(one.Make(5).text.substr(0, 12), later.Make(5).text.substr(0, 12));
  EXPECT_EQ(one.Make(5).text.substr(12), later.Make(5).text.substr(12));
  EXPECT_NE(one.MakeWithBody(5, 0).text.substr(13), other.MakeWithBody(5, 0).text.substr(13));
}

TEST(PromptPool, BodiesTakeTurns) {
  const Corpus corpus = Corpus::Shipped();
  const PromptPool pool(corpus, {.bodies = 4});
  std::array<int, 4> used{};
  for (std::uint64_t id = 0; id < 400; ++id) ++used[static_cast<std::size_t>(pool.Make(id).body)];
  for (const int count : used) EXPECT_GT(count, 60);
}

TEST(PromptPool, PromptsAreUtf8WhateverTheText) {
  std::string text;
  while (text.size() < kCorpusBytesMin) text += "水は低きに流れる。Rätsel 🎉 ";
  const auto corpus = Corpus::FromText("mixed", text);
  ASSERT_TRUE(corpus);
  PromptPool pool(*corpus, {.input_tokens = 300});
  for (std::uint64_t id = 0; id < 200; ++id) {
    const Prompt prompt = pool.Make(id);
    ASSERT_TRUE(simdjson::validate_utf8(prompt.text)) << id;
    pool.Observe(prompt, 250 + static_cast<int>(id % 100));
  }
}

}  // namespace
}  // namespace penstock::bench
