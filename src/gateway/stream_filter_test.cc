#include "gateway/stream_filter.h"

#include <gtest/gtest.h>

namespace penstock::gateway {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kRole =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n";
constexpr std::string_view kText =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
constexpr std::string_view kUsage =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,"
    "\"total_tokens\":9}}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

std::string Whole() {
  return std::string(kRole) + ": ping\n\n" + std::string(kText) + std::string(kText) +
         std::string(kUsage) + std::string(kDone);
}

// Passes `stream` cut after each of `cuts`, one millisecond apart.
std::string PassCut(StreamFilter& filter, std::string_view stream, std::size_t step) {
  std::string out;
  TimePoint now{};
  for (std::size_t at = 0; at < stream.size(); at += step) {
    const std::string_view piece = stream.substr(at, step);
    now += milliseconds(1);
    EXPECT_TRUE(filter.Pass(std::span(&piece, 1), now, out));
  }
  out += filter.held();
  return out;
}

TEST(StreamFilter, LeavesOnlyTheUsageEventOutHoweverTheStreamIsCut) {
  const std::string stream = Whole();
  std::string expected = stream;
  expected.erase(expected.find(kUsage), kUsage.size());
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    StreamFilter filter(true);
    EXPECT_EQ(PassCut(filter, stream, step), expected) << "step=" << step;
    ASSERT_TRUE(filter.count().usage) << "step=" << step;
    EXPECT_EQ(filter.count().usage->prompt_tokens, 7u);
    EXPECT_EQ(filter.count().text_events, 2u);
    EXPECT_TRUE(filter.count().done);
  }
}

TEST(StreamFilter, OnlyLooksWhereNothingIsStripped) {
  StreamFilter filter(false);
  EXPECT_EQ(PassCut(filter, Whole(), 10), "");
  EXPECT_EQ(filter.count().events, 4u);
  EXPECT_EQ(filter.count().usage->completion_tokens, 2u);
}

TEST(StreamFilter, TimesTheFirstTextNotTheRole) {
  StreamFilter filter(false);
  std::string unused;
  const std::string_view role = kRole;
  const std::string_view text = kText;
  ASSERT_TRUE(filter.Pass(std::span(&role, 1), TimePoint(milliseconds(5)), unused));
  EXPECT_EQ(filter.count().text_events, 0u);
  ASSERT_TRUE(filter.Pass(std::span(&text, 1), TimePoint(milliseconds(9)), unused));
  EXPECT_EQ(filter.count().first_text_at, TimePoint(milliseconds(9)));
}

// An engine that puts usage into the last chunk with text loses neither.
TEST(StreamFilter, KeepsAnEventThatHoldsMoreThanUsage) {
  const std::string stream =
      "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}],"
      "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
  StreamFilter filter(true);
  EXPECT_EQ(PassCut(filter, stream, stream.size()), stream);
  EXPECT_TRUE(filter.count().usage);
}

TEST(StreamFilter, NotesAnErrorWithinTheStream) {
  StreamFilter filter(false);
  PassCut(filter, "data: {\"error\":{\"message\":\"x\"}}\n\n", 1000);
  EXPECT_TRUE(filter.count().failed);
}

// Whole events that are not the last may pass uncounted; whatever could be the end may not.
TEST(StreamFilter, KnowsWhatCouldBeTheEnd) {
  using Pieces = std::vector<std::string_view>;
  StreamFilter filter(false);
  EXPECT_FALSE(filter.MayEnd(Pieces{}));
  EXPECT_FALSE(filter.MayEnd(Pieces{"data: {}\n\n", "data: {}\n\n"}));
  EXPECT_TRUE(filter.MayEnd(Pieces{"data: {}\n\n", "data: [DONE]\n\n"}));
  EXPECT_TRUE(filter.MayEnd(Pieces{"data: [DO", "NE]\n\n"}));
  std::string assembled;
  ASSERT_TRUE(filter.Pass(Pieces{"data: [DO"}, TimePoint(), assembled));
  EXPECT_TRUE(filter.MayEnd(Pieces{"NE]\n\n"}));
}

}  // namespace
}  // namespace penstock::gateway
