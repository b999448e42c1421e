// Event streams: the rules of WHATWG, the streams that break other clients, and every way to cut
// them.
#include "api/sse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Seen {
  std::string data;
  std::string type;
  std::string id;
  bool operator==(const Seen&) const = default;
};

// What a parser gives for a stream that comes in pieces of the given sizes (the last one repeats).
struct Outcome {
  std::vector<Seen> events;
  bool failed = false;
  bool inside_event = false;
  bool operator==(const Outcome&) const = default;
};

void TakeAll(SseParser& parser, Outcome& outcome) {
  for (;;) {
    auto event = parser.Next();
    if (!event) outcome.failed = true;
    if (!event || !*event) return;
    outcome.events.push_back(
        {std::string((*event)->data), std::string((*event)->type), std::string((*event)->id)});
  }
}

Outcome Parse(std::string_view stream, std::size_t piece, std::size_t limit = 1 << 20) {
  SseParser parser(limit);
  Outcome outcome;
  for (std::size_t at = 0; at < stream.size() && !outcome.failed; at += piece) {
    const std::string part(stream.substr(at, piece));  // A copy: views must not outlive it.
    parser.Feed(part);
    TakeAll(parser, outcome);
  }
  outcome.inside_event = !outcome.failed && parser.InsideEvent();
  return outcome;
}

std::vector<std::string> Data(std::string_view stream) {
  std::vector<std::string> data;
  for (Seen& seen : Parse(stream, stream.size()).events) data.push_back(std::move(seen.data));
  return data;
}

TEST(Sse, ReadsTheCommonStream) {
  EXPECT_THAT(Data("data: {\"a\":1}\n\ndata: [DONE]\n\n"), ElementsAre("{\"a\":1}", "[DONE]"));
}

TEST(Sse, EndsLinesWithLfCrAndCrlf) {
  EXPECT_THAT(Data("data: a\r\n\r\ndata: b\r\rdata: c\n\n"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Data("data: a\r\n\ndata: b\n\r\n"), ElementsAre("a", "b"));
  EXPECT_THAT(Data("data: a\rdata: b\n\n"), ElementsAre("a\nb"));
}

TEST(Sse, TakesAtMostOneSpaceBehindTheColon) {
  EXPECT_THAT(Data("data:a\n\ndata:  b\n\ndata: \n\ndata\n\n"), ElementsAre("a", " b", "", ""));
}

TEST(Sse, PassesOverCommentsAndUnknownFields) {
  EXPECT_THAT(Data(": ping\n\n:\ndata: a\n: ping\ndata: b\n\nretry: 10\nother: x\n\n"),
              ElementsAre("a\nb"));
}

TEST(Sse, JoinsDataLines) {
  EXPECT_THAT(Data("data: a\ndata:\ndata: b\n\n"), ElementsAre("a\n\nb"));
}

TEST(Sse, GivesTypeAndId) {
  const auto events = Parse("event: x\nid: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", 1000).events;
  EXPECT_THAT(events, ElementsAre(Seen{"a", "x", "7"}, Seen{"b", "", "7"}, Seen{"c", "", ""}));
}

TEST(Sse, ForgetsTheTypeOfAnEventWithoutData) {
  EXPECT_THAT(Parse("event: x\n\ndata: a\n\n", 1000).events, ElementsAre(Seen{"a", "", ""}));
}

TEST(Sse, IgnoresAnIdWithNul) {
  EXPECT_THAT(Parse(std::string_view("id: a\0b\ndata: c\n\n", 17), 1000).events,
              ElementsAre(Seen{"c", "", ""}));
}

TEST(Sse, SkipsOneByteOrderMark) {
  EXPECT_THAT(Data("\xEF\xBB\xBF"
                   "data: a\n\n"),
              ElementsAre("a"));
  EXPECT_THAT(Data("\xEF\xBB\xBF\xEF\xBB\xBF"
                   "data: a\n\n"),
              IsEmpty());
  EXPECT_THAT(Data("data: a\n\n\xEF\xBB\xBF"
                   "data: b\n\n"),
              ElementsAre("a"));
}

TEST(Sse, DropsAnEventThatWasCutAndSaysSo) {
  const Outcome cut = Parse("data: a\n\ndata: b\n", 1000);
  EXPECT_THAT(cut.events, ElementsAre(Seen{"a", "", ""}));
  EXPECT_TRUE(cut.inside_event);
  EXPECT_TRUE(Parse("data: a\n\nda", 1000).inside_event);
  EXPECT_FALSE(Parse("data: a\n\n", 1000).inside_event);
  EXPECT_FALSE(Parse("data: a\n\n: bye\n", 1000).inside_event);
}

TEST(Sse, CutsAnywhereGiveTheSameEvents) {
  constexpr std::string_view kStream =
      "\xEF\xBB\xBF: ping\r\n\r\nevent: e\rid: 1\rdata: a\r\rdata:b\ndata: c\n\n"
      "data: {\"x\":\"y\"}\r\n\r\ndata: {}\n\nignored\n\ndata\n\ndata: end";
  const Outcome whole = Parse(kStream, kStream.size());
  EXPECT_EQ(whole.events.size(), 5u);
  for (std::size_t piece = 1; piece < kStream.size(); ++piece) {
    EXPECT_EQ(Parse(kStream, piece), whole) << "piece=" << piece;
  }
}

TEST(Sse, CutsAtRandomGiveTheSameEvents) {
  constexpr std::string_view kAlphabet[] = {"data", ":",  " ", "\n",   "\r", "\r\n",       "event",
                                            "id",   "\n", "x", "\n\n", "\n", "data: y\n\n"};
  for (std::uint64_t seed = 0; seed < 3000 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    std::string stream;
    const std::uint64_t length = random.Below(40);
    for (std::uint64_t i = 0; i < length; ++i) {
      stream += kAlphabet[random.Below(std::size(kAlphabet))];
    }
    const std::size_t limit = 3 + random.Below(20);
    const Outcome whole = Parse(stream, stream.size() + 1, limit);
    EXPECT_EQ(Parse(stream, 1 + random.Below(9), limit), whole);
  }
}

TEST(Sse, BoundsLinesAndEvents) {
  EXPECT_FALSE(Parse("data: 6789\n\n", 100, 10).failed);
  EXPECT_TRUE(Parse("data: 67890\n\n", 100, 10).failed);
  EXPECT_TRUE(Parse("data: 67890\n\n", 1, 10).failed);
  EXPECT_TRUE(Parse(":6789012345678", 1, 10).failed);
  EXPECT_FALSE(Parse("data: 1234\ndata: 5678\n\n", 100, 10).failed);
  EXPECT_EQ(Parse("data: 1234\ndata: 5678\ndata:\n\n", 100, 10).events.size(), 1u);
  EXPECT_TRUE(Parse("data: 1234\ndata: 5678\ndata:9\n\n", 100, 10).failed);
}

TEST(Sse, StaysFailed) {
  SseParser parser(4);
  parser.Feed("data: too long\n\n");
  auto event = parser.Next();
  ASSERT_FALSE(event);
  EXPECT_EQ(event.error().code, Code::kUpstream);
  EXPECT_THAT(event.error().message, testing::HasSubstr("4 bytes"));
  parser.Feed("a\n");
  EXPECT_FALSE(parser.Next());
}

TEST(Sse, DoesNotCopyAWholeEvent) {
  const std::string stream = "data: abc\n\n";
  SseParser parser;
  parser.Feed(stream);
  const auto event = parser.Next();
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->data.data(), stream.data() + 6);
}

TEST(Sse, TellsWhereEventsLie) {
  SseParser parser;
  parser.Feed(": p\n\ndata: a\n\nda");
  auto event = parser.Next();
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->begin, 5u);
  EXPECT_EQ((*event)->end, 14u);
  event = parser.Next();
  ASSERT_TRUE(event && !*event);
  parser.Feed("ta: b\r\n\r\ndata: c\n\n");
  event = parser.Next();
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->begin, 14u);
  EXPECT_EQ((*event)->end, 25u);
  event = parser.Next();
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->begin, 25u);
  EXPECT_EQ((*event)->end, 34u);
}

TEST(Sse, ReadsManyLinesThatEndWithCrInLinearTime) {
  std::string stream;
  for (int i = 0; i < 200000; ++i) stream += "x\r";
  stream += "data: a\r\r";
  EXPECT_THAT(Data(stream), ElementsAre("a"));
}

}  // namespace
}  // namespace penstock
