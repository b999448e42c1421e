// The stream traps on which known load testers give wrong figures, as raw transcripts. The truth is
// the same each time: 512 tokens, the first after 507 ms, each further one after 20 ms.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/drive/reply_reader.h"
#include "bench/judge/summary.h"
#include "bench/record/metrics.h"

namespace penstock::bench {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr int kTokens = 512;
constexpr double kTtftMs = 507;
constexpr double kTpotMs = 20;

// How a server writes its stream.
struct Style {
  std::string_view field = "data: ";
  std::string_view line_end = "\n";
  bool role_first = false;
  bool pings = false;
  bool usage = true;
  int reasoning_tokens = 0;  // So many of the first tokens are reasoning.
  int tokens_per_chunk = 1;
  int tokens = kTokens;     // That come.
  int wanted = kTokens;     // That were asked for.
  std::string_view last{};  // In place of the usual end: "error", "cut".
};

// What the server writes at one moment.
struct Piece {
  std::int64_t at_ns;
  std::string text;
};

std::string Event(const Style& style, std::string_view data) {
  return fmt::format("{}{}{}{}", style.field, data, style.line_end, style.line_end);
}

std::string Delta(std::string_view member, std::string_view text) {
  return fmt::format(R"({{"choices":[{{"index":0,"delta":{{"{}":"{}"}},"finish_reason":null}}]}})",
                     member, text);
}

std::string End(const Style& style) {
  std::string end =
      Event(style, R"({"choices":[{"index":0,"delta":{},"finish_reason":"length"}]})");
  if (style.usage) {
    end += Event(style, fmt::format(R"({{"choices":[],"usage":{{"prompt_tokens":100,)"
                                    R"("completion_tokens":{}}}}})",
                                    style.tokens));
  }
  return end + Event(style, "[DONE]");
}

// A chunk leaves when the last of its tokens is there.
std::vector<Piece> Transcript(const Style& style) {
  std::vector<Piece> pieces;
  if (style.role_first) {
    pieces.push_back(
        {2 * kMs, Event(style, R"({"choices":[{"index":0,"delta":{"role":)"
                               R"("assistant","content":""},"finish_reason":null}]})")});
  }
  const auto first_ns = static_cast<std::int64_t>(kTtftMs) * kMs;
  for (int sent = 0; sent < style.tokens; sent += style.tokens_per_chunk) {
    const std::int64_t at = first_ns + sent * static_cast<std::int64_t>(kTpotMs) * kMs;
    std::string text;
    for (int i = 0; i < style.tokens_per_chunk; ++i) text += " tok";
    const bool reasoning = sent < style.reasoning_tokens;
    std::string event = Event(style, Delta(reasoning ? "reasoning_content" : "content", text));
    if (style.pings) event = fmt::format(": ping{0}{0}{1}", style.line_end, event);
    pieces.push_back({at, event});
  }
  const std::int64_t last_ns = pieces.back().at_ns;
  if (style.last == "error") {
    pieces.push_back({last_ns + kMs, Event(style, R"({"error":{"message":"out of memory"}})")});
    pieces.push_back({last_ns + kMs, Event(style, "[DONE]")});
  } else if (style.last.empty()) {
    pieces.push_back({last_ns, End(style)});
  }
  return pieces;
}

RequestRecord Read(const Style& style) {
  RequestRecord record;
  record.concurrency = 1;
  record.scheduled_ns = record.sent_ns = 0;
  record.output_tokens_wanted = style.wanted;
  ReplyReader reader(record);
  reader.Head(200, "text/event-stream", kMs);
  std::int64_t last_ns = 0;
  for (const Piece& piece : Transcript(style)) {
    const std::string_view text = piece.text;
    reader.Read({&text, 1}, piece.at_ns);
    last_ns = piece.at_ns;
  }
  const bool cut = style.last == "cut";
  reader.End(last_ns, cut ? ErrorKind::kTruncated : ErrorKind::kNone, cut ? "reset" : "");
  return record;
}

void ExpectTruth(const RequestRecord& record) {
  EXPECT_EQ(record.error, ErrorKind::kNone) << record.error_message;
  EXPECT_EQ(record.OutputTokens(), kTokens);
  const RequestMetrics metrics = MetricsOf(record);
  EXPECT_DOUBLE_EQ(*metrics.ttft_ms, kTtftMs);
  EXPECT_DOUBLE_EQ(*metrics.ttft_service_ms, kTtftMs);
  EXPECT_NEAR(*metrics.tpot_ms, kTpotMs, 1e-9);
  EXPECT_NEAR(*metrics.identity_residual, 0, 1e-9);
}

TEST(StreamTraps, APlainStream) { ExpectTruth(Read({})); }

TEST(StreamTraps, AnEmptyRoleChunkIsNoFirstToken) { ExpectTruth(Read({.role_first = true})); }

TEST(StreamTraps, ReasoningIsTextButNoAnswer) {
  const RequestRecord record = Read({.reasoning_tokens = 16});
  ExpectTruth(record);
  EXPECT_DOUBLE_EQ(*MetricsOf(record).ttfo_ms, kTtftMs + 16 * kTpotMs);
}

TEST(StreamTraps, WithoutUsageWhatCameIsCountedNotWhatWasAsked) {
  const RequestRecord record = Read({.usage = false, .tokens = 16, .wanted = 32});
  EXPECT_EQ(record.error, ErrorKind::kNone);
  EXPECT_EQ(record.output_tokens, kUnknown);
  EXPECT_EQ(record.OutputTokens(), 16);
  EXPECT_NEAR(*MetricsOf(record).tpot_ms, kTpotMs, 1e-9);
}

TEST(StreamTraps, LinesMayEndInCarriageReturnAndLineFeed) {
  ExpectTruth(Read({.line_end = "\r\n"}));
}

TEST(StreamTraps, LinesMayEndInCarriageReturnAlone) { ExpectTruth(Read({.line_end = "\r"})); }

TEST(StreamTraps, NoSpaceNeedFollowTheField) { ExpectTruth(Read({.field = "data:"})); }

TEST(StreamTraps, CommentsAreNoEvents) { ExpectTruth(Read({.pings = true})); }

TEST(StreamTraps, AnErrorInsideTheStreamIsAFailureAndItsTokensAreCredited) {
  RequestRecord record = Read({.tokens = 144, .last = "error"});
  EXPECT_EQ(record.error, ErrorKind::kStream);
  EXPECT_EQ(record.error_message, "out of memory");
  EXPECT_EQ(record.OutputTokens(), 144);
  RunRecords run;
  run.requests.push_back(record);
  const LevelSummary level = Summarise(run).levels.front();
  EXPECT_EQ(level.succeeded, 0);
  EXPECT_EQ(level.failures(), 1);
  EXPECT_EQ(level.ttft_ms.count, 0);
  EXPECT_NEAR(level.failed_output_tokens_per_s, 144 / level.whole.seconds, 1e-6);
  EXPECT_EQ(level.whole.output_tokens_per_s, 0);
}

TEST(StreamTraps, ACutConnectionIsAFailureAndItsTokensAreCredited) {
  const RequestRecord record = Read({.tokens = 144, .last = "cut"});
  EXPECT_EQ(record.error, ErrorKind::kTruncated);
  EXPECT_EQ(record.OutputTokens(), 144);
}

TEST(StreamTraps, AnEndWithoutAnEndIsATruncation) {
  const RequestRecord record = Read({.last = "nothing"});
  EXPECT_EQ(record.error, ErrorKind::kTruncated);
}

// Four tokens arrive at once, every 80 ms: the first four at 507 ms. A TPOT over N − 1 would come
// out short, and a gap between chunks is no inter-token time.
TEST(StreamTraps, SeveralTokensInAChunk) {
  const RequestRecord record = Read({.tokens_per_chunk = 4});
  EXPECT_EQ(record.error, ErrorKind::kNone);
  EXPECT_EQ(record.chunks, kTokens / 4);
  EXPECT_EQ(record.first_chunk_tokens, 4);
  EXPECT_NEAR(*MetricsOf(record).tpot_ms, kTpotMs, 1e-9);
  RunRecords run;
  run.requests.push_back(record);
  const LevelSummary level = Summarise(run).levels.front();
  EXPECT_DOUBLE_EQ(level.tokens_per_chunk, 4);
  EXPECT_NEAR(level.icl_ms.p50, 4 * kTpotMs, 1e-9);
}

// A tool call's pieces are text too; the stream's end may come long after.
TEST(StreamTraps, LatencyRunsToTheLastTokenNotToTheEnd) {
  RequestRecord record;
  record.concurrency = 1;
  record.scheduled_ns = record.sent_ns = 0;
  ReplyReader reader(record);
  reader.Head(200, "text/event-stream", kMs);
  const Style style{.tokens = 1};
  const std::string call =
      Event(style, R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,)"
                   R"("function":{"arguments":"{}"}}]}}]})");
  const std::string end = End(style);
  std::string_view text = call;
  reader.Read({&text, 1}, 100 * kMs);
  text = end;
  reader.Read({&text, 1}, 900 * kMs);
  reader.End(900 * kMs, ErrorKind::kNone, "");
  EXPECT_EQ(record.error, ErrorKind::kNone) << record.error_message;
  const RequestMetrics metrics = MetricsOf(record);
  EXPECT_DOUBLE_EQ(*metrics.ttft_ms, 100);
  EXPECT_DOUBLE_EQ(*metrics.latency_ms, 100);
  EXPECT_DOUBLE_EQ(*metrics.end_ms, 900);
}

}  // namespace
}  // namespace penstock::bench
