#include "bench/workload/composer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "bench/drive/fake_model.h"

namespace penstock::bench {
namespace {

using testing::CountTokens;

constexpr int kTemplateTokens = 17;

int TokensOf(const Composer::Turn& turn) {
  int tokens = kTemplateTokens;
  for (const Message& message : turn.messages) tokens += CountTokens(message.text);
  return tokens;
}

std::size_t SharedFront(const std::string& one, const std::string& other) {
  const auto at = std::ranges::mismatch(one, other).in1;
  return static_cast<std::size_t>(at - one.begin());
}

// Feeds a composer what a server would count, as a run does.
void Teach(Composer& composer, std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t id = first; id < first + count; ++id) {
    const auto turn = composer.First(composer.PlanOf(id));
    composer.Observe(turn, TokensOf(turn));
  }
}

TEST(Composer, PlansAreEqualForEqualSeedsAndFollowTheWeights) {
  const Corpus corpus = Corpus::Shipped();
  const Composer one(corpus, {.mix = *Mix::Parse("chat=3,rag=1"), .seed = 4, .salt = 1});
  const Composer same(corpus, {.mix = *Mix::Parse("chat=3,rag=1"), .seed = 4, .salt = 2});
  int chats = 0;
  for (std::uint64_t id = 0; id < 4000; ++id) {
    const RequestPlan plan = one.PlanOf(id);
    chats += plan.part == 0 ? 1 : 0;
    EXPECT_EQ(plan.input_tokens, same.PlanOf(id).input_tokens);
    EXPECT_EQ(plan.turns, same.PlanOf(id).turns);
    EXPECT_EQ(plan.prefix, 0);
    EXPECT_NE(one.First(plan).messages.back().text, same.First(plan).messages.back().text);
    if (id > 50) break;
  }
  chats = 0;
  for (std::uint64_t id = 0; id < 4000; ++id) chats += one.PlanOf(id).part == 0 ? 1 : 0;
  EXPECT_NEAR(chats, 3000, 150);
}

TEST(Composer, LearnsLengthsFromTheServersCounts) {
  const Corpus corpus = Corpus::Shipped();
  for (const std::string_view workload : {"write", "rag", "code"}) {
    Composer composer(corpus, {.mix = *Mix::Parse(workload), .seed = 4, .salt = 1});
    Teach(composer, 0, 300);
    double worst = 0;
    for (std::uint64_t id = 1000; id < 1200; ++id) {
      const auto turn = composer.First(composer.PlanOf(id));
      if (turn.input_tokens < 200) continue;  // The salt and the closing line dominate.
      worst = std::max(worst, std::abs(TokensOf(turn) - turn.input_tokens) /
                                  static_cast<double>(turn.input_tokens));
    }
    EXPECT_LT(worst, 0.12) << workload;
  }
}

TEST(Composer, NoTwoSaltedPromptsBeginAlike) {
  const Corpus corpus = Corpus::Shipped();
  const Composer composer(corpus, {.mix = *Mix::Parse("write"), .salt = 99});
  std::set<std::string> fronts;
  for (std::uint64_t id = 0; id < 2000; ++id) {
    fronts.insert(composer.First(composer.PlanOf(id)).messages.front().text.substr(0, 12));
  }
  EXPECT_EQ(fronts.size(), 2000u);
}

TEST(Composer, SharesPrefixesAsTold) {
  const Corpus corpus = Corpus::Shipped();
  Mix mix = *Mix::Parse("write");
  ASSERT_TRUE(SetPrefix("0.5:300:4", mix));
  Composer composer(corpus, {.mix = mix, .salt = 7});
  std::map<std::string, int> prefixes;
  int without = 0;
  for (std::uint64_t id = 0; id < 1000; ++id) {
    const auto plan = composer.PlanOf(id);
    const auto turn = composer.First(plan);
    if (plan.prefix < 0) {
      ++without;
      EXPECT_EQ(turn.messages.size(), 1u);
      continue;
    }
    ASSERT_EQ(turn.messages.size(), 2u);
    ++prefixes[turn.messages.front().text];
    EXPECT_EQ(turn.input_tokens, plan.input_tokens + 300);
    composer.Observe(turn, TokensOf(turn));  // What is learned must not change the shared text.
  }
  EXPECT_NEAR(without, 500, 60);
  EXPECT_EQ(prefixes.size(), 4u);
}

TEST(Composer, BlocksOfATraceShareTheirText) {
  const Corpus corpus = Corpus::Shipped();
  const Composer composer(corpus, {.mix = *Mix::Parse(""), .salt = 7});
  const std::vector<std::int64_t> one = {1, 2, 3};
  const std::vector<std::int64_t> other = {1, 2, 9};
  const auto text = [&](std::uint64_t id, std::span<const std::int64_t> blocks) {
    const Due due{.input_tokens = 1536, .output_tokens = 5};
    const auto turn = composer.First(composer.PlanOf(id, due, blocks, 512));
    EXPECT_EQ(turn.output_tokens, 5);
    EXPECT_EQ(turn.input_tokens, 1536);
    return turn.messages.front().text;
  };
  const std::string first = text(1, one);
  const std::string second = text(2, other);
  EXPECT_EQ(first, text(5, one));
  const double shared =
      static_cast<double>(SharedFront(first, second)) / static_cast<double>(first.size());
  EXPECT_NEAR(shared, 2.0 / 3, 0.02);
  EXPECT_NEAR(CountTokens(first), 1536, 250);
}

TEST(Composer, TurnsHoldTheWholeConversation) {
  const Corpus corpus = Corpus::Shipped();
  const Composer composer(corpus, {.mix = *Mix::Parse("chat"), .salt = 7});
  const auto plan = composer.PlanOf(3);
  auto turn = composer.First(plan);
  Messages messages = turn.messages;
  messages.push_back({.role = Message::Role::kAssistant, .text = "an answer"});
  const auto next = composer.Next(plan, 2, messages, 500);
  ASSERT_EQ(next.messages.size(), messages.size() + 1);
  EXPECT_EQ(next.messages[messages.size() - 1].text, "an answer");
  EXPECT_EQ(next.messages.back().role, Message::Role::kUser);
  EXPECT_GT(next.input_tokens, 500);
}

TEST(Composer, WalksADataSet) {
  const Corpus corpus = Corpus::Shipped();
  Mix mix = *Mix::Parse("");
  mix.parts[0].data = std::make_shared<const DataSet>(
      *DataSet::Parse("{\"prompt\":\"aa\",\"max_tokens\":9}\n{\"prompt\":\"bb\"}\n"));
  const Composer plain(corpus, {.mix = mix, .salt = 7, .salted = false});
  std::multiset<std::string> texts;
  for (std::uint64_t id = 0; id < 4; ++id) {
    const auto turn = plain.First(plain.PlanOf(id));
    texts.insert(turn.messages.front().text);
    EXPECT_EQ(turn.output_tokens, turn.messages.front().text == "aa" ? 9 : 256);
  }
  EXPECT_EQ(texts, (std::multiset<std::string>{"aa", "aa", "bb", "bb"}));
  const Composer salted(corpus, {.mix = mix, .salt = 7});
  const std::string text = salted.First(salted.PlanOf(0)).messages.front().text;
  EXPECT_EQ(text.size(), 15u);
}

}  // namespace
}  // namespace penstock::bench
