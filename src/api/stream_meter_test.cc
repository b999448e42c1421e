// Chunks: each kind, each trap of streams in the wild, and the memory's agreement with the parser.
#include "api/stream_meter.h"

#include <gtest/gtest.h>

#include <string>

#include "api/chunk_writer.h"
#include "api/sse.h"
#include "base/random.h"

namespace penstock {
namespace {

// Of ASCII text.
StreamChunk Chunk(ChunkKind kind, std::uint32_t text_bytes = 0,
                  FinishReason finish = FinishReason::kNone, std::optional<Usage> usage = {}) {
  return {.kind = kind,
          .finish = finish,
          .text_bytes = text_bytes,
          .text_characters = text_bytes,
          .usage = usage};
}

std::string Delta(std::string_view delta) {
  return std::string(R"({"id":"c","choices":[{"index":0,"delta":)") + std::string(delta) +
         R"(,"finish_reason":null}]})";
}

TEST(StreamMeter, KnowsEachKind) {
  EXPECT_EQ(ParseStreamChunk("[DONE]"), Chunk(ChunkKind::kDone));
  EXPECT_EQ(ParseStreamChunk(Delta(R"({"role":"assistant","content":""})")),
            Chunk(ChunkKind::kRole));
  EXPECT_EQ(ParseStreamChunk(Delta(R"({"role":"assistant","content":null})")),
            Chunk(ChunkKind::kRole));
  EXPECT_EQ(ParseStreamChunk(Delta(R"({"content":"Hello"})")), Chunk(ChunkKind::kContent, 5));
  EXPECT_EQ(ParseStreamChunk(Delta(R"({"content":null,"reasoning_content":"Hm"})")),
            Chunk(ChunkKind::kReasoning, 2));
  EXPECT_EQ(ParseStreamChunk(Delta(R"({"reasoning":"Hm"})")), Chunk(ChunkKind::kReasoning, 2));
  EXPECT_EQ(ParseStreamChunk(
                Delta(R"({"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]})")),
            Chunk(ChunkKind::kToolCall, 2));
  EXPECT_EQ(ParseStreamChunk(R"({"choices":[{"delta":{},"finish_reason":"length"}]})"),
            Chunk(ChunkKind::kFinish, 0, FinishReason::kLength));
  EXPECT_EQ(ParseStreamChunk(R"({"choices":[{"text":"ab","finish_reason":null}]})"),
            Chunk(ChunkKind::kContent, 2));
  EXPECT_EQ(ParseStreamChunk(R"({"choices":[{"text":"","finish_reason":"stop"}]})"),
            Chunk(ChunkKind::kFinish, 0, FinishReason::kStop));
  EXPECT_EQ(
      ParseStreamChunk(
          R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,)"
          R"("prompt_tokens_details":{"cached_tokens":2}}})"),
      Chunk(ChunkKind::kUsage, 0, FinishReason::kNone, Usage{7, 3, 2}));
  EXPECT_EQ(ParseStreamChunk(R"({"error":{"message":"x"}})"), Chunk(ChunkKind::kError));
  EXPECT_EQ(ParseStreamChunk(R"({"error_code":"X","message":"x"})"), Chunk(ChunkKind::kError));
  EXPECT_EQ(ParseStreamChunk(R"({"choices":[]})"), Chunk(ChunkKind::kOther));
  EXPECT_EQ(ParseStreamChunk("{}"), Chunk(ChunkKind::kOther));
}

TEST(StreamMeter, NullErrorAndNullUsageAreNone) {
  EXPECT_EQ(
      ParseStreamChunk(R"({"error":null,"usage":null,"choices":[{"delta":{"content":"a"}}]})"),
      Chunk(ChunkKind::kContent, 1));
}

TEST(StreamMeter, TextOutranksTheEndThatComesWithIt) {
  EXPECT_EQ(ParseStreamChunk(R"({"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],)"
                             R"("usage":{"prompt_tokens":1,"completion_tokens":1}})"),
            Chunk(ChunkKind::kContent, 1, FinishReason::kStop, Usage{1, 1, 0}));
}

TEST(StreamMeter, SumsTheTextOfAllChoicesAndParts) {
  EXPECT_EQ(
      ParseStreamChunk(R"({"choices":[{"delta":{"content":"ab"}},{"delta":{"content":"c"}}]})"),
      Chunk(ChunkKind::kContent, 3));
  EXPECT_EQ(ParseStreamChunk(Delta(R"({"content":[{"type":"text","text":"ab"}]})")),
            Chunk(ChunkKind::kContent, 2));
  EXPECT_EQ(
      ParseStreamChunk(Delta(
          R"({"content":[{"type":"reasoning","summary":[{"type":"summary_text","text":"h"}]}]})")),
      Chunk(ChunkKind::kReasoning, 1));
}

TEST(StreamMeter, CountsUnescapedBytesAndCharacters) {
  StreamChunk expected = Chunk(ChunkKind::kContent, 8);
  expected.text_characters = 4;
  EXPECT_EQ(ParseStreamChunk(Delta(R"({"content":"\n\"\u00e9\ud83d\ude00"})")), expected);
}

// By the full parse, by what was learned, and by the fast way through a stream: the same, also
// beside a second text that stays as it was.
TEST(StreamMeter, CharactersAreCodePointsWhicheverWayTheyAreRead) {
  StreamMeter meter;
  for (const std::string text :
       {"ab", "a\xc3\xa9", "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\x98\x80!", "z\\n"}) {
    const std::string data =
        R"({"choices":[{"delta":{"content":")" + text + R"("}},{"delta":{"content":"\u00fc"}}]})";
    const StreamChunk read = ParseStreamChunk(data);
    EXPECT_EQ(read.text_characters, 3u) << text;
    EXPECT_EQ(meter.Read(data), read) << text;
    StreamChunk fast;
    if (meter.ReadLikeLast("data: " + data + "\n\n", fast) != 0) EXPECT_EQ(fast, read) << text;
  }
}

TEST(StreamMeter, NamesWhatIsNotAJsonObject) {
  for (const char* data : {"", " ", "null", "[]", "{", "{\"a\":}", "{\"a\":1}x", "{\"a\":\"\\x\"}",
                           "{\"a\":01}", "{\"choices\":[{\"delta\":{\"content\":\"x\"}}]",
                           "{\"a\":\"\xff\"}", "[DONE] ", "{\"a\":nul}", "{\"a\":truex}"}) {
    EXPECT_EQ(ParseStreamChunk(data), Chunk(ChunkKind::kMalformed)) << data;
  }
  EXPECT_EQ(ParseStreamChunk(std::string(100000, '[')), Chunk(ChunkKind::kMalformed));
  std::string deep = "{\"a\":";
  deep += std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_EQ(ParseStreamChunk(deep), Chunk(ChunkKind::kMalformed));
}

TEST(StreamMeter, ValuesOfOtherTypesArePassedOver) {
  EXPECT_EQ(ParseStreamChunk(R"({"choices":{},"usage":3})"), Chunk(ChunkKind::kOther));
  EXPECT_EQ(ParseStreamChunk(R"({"choices":[1,{"delta":2,"text":3,"finish_reason":4}]})"),
            Chunk(ChunkKind::kOther));
  EXPECT_EQ(
      ParseStreamChunk(R"({"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":1.5}})"),
      Chunk(ChunkKind::kUsage, 0, FinishReason::kNone, Usage{}));
}

// The memory must never answer otherwise than the parser, whatever follows a learned chunk.
TEST(StreamMeter, RemembersWithoutEverDisagreeing) {
  const std::string text_before = R"({"choices":[{"delta":{"content":")";
  const std::string text_after = R"("},"finish_reason":null}]})";
  for (const std::string middle : {"a", "", "abc", "\\n", "\\\"", "\\\\", "\\u00e9", "\\ud800",
                                   "\\x", "\\", "\"", "a\",\"b\":\"c", "\n", "\x01", "\xc3\xa9",
                                   "\xc3", "\xff", "long text with several words in it"}) {
    StreamMeter meter;
    EXPECT_EQ(meter.Read(text_before + "learn" + text_after), Chunk(ChunkKind::kContent, 5));
    const std::string data = text_before + middle + text_after;
    EXPECT_EQ(meter.Read(data), ParseStreamChunk(data)) << middle;
    EXPECT_EQ(meter.Read(data), ParseStreamChunk(data)) << "again: " << middle;
  }
}

TEST(StreamMeter, DoesNotMistakeOverlappingEndsForAText) {
  StreamMeter meter;
  EXPECT_EQ(meter.Read(R"({"choices":[{"text":"a"}]})"), Chunk(ChunkKind::kContent, 1));
  EXPECT_EQ(meter.Read(R"({"choices":[{"text":""}]})"), Chunk(ChunkKind::kOther));
  EXPECT_EQ(meter.Read(R"({"choices":[{"text":"}]})"), Chunk(ChunkKind::kMalformed));
}

TEST(StreamMeter, MutationsOfAStreamAgreeWithTheParser) {
  const std::string base = Delta(R"({"content":"some text","x":1})");
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    Random random(seed);
    StreamMeter meter;
    meter.Read(base);
    std::string data = base;
    for (std::uint64_t i = random.Below(3); i-- > 0;) {
      data[random.Below(data.size())] = "\"\\{}[]:,a1\xC3\xA9\n"[random.Below(13)];
    }
    ASSERT_EQ(meter.Read(data), ParseStreamChunk(data)) << "seed=" << seed << ' ' << data;
  }
}

// The ways in which streams mislead load testers: see each name.
struct Metered {
  std::uint64_t text_events = 0;
  std::uint64_t text_bytes = 0;
  bool failed = false;
  bool done = false;
  std::optional<Usage> usage;
};

Metered Meter(std::string_view stream) {
  SseParser parser;
  StreamMeter meter;
  Metered metered;
  parser.Feed(stream);
  for (auto event = parser.Next(); event && *event; event = parser.Next()) {
    const StreamChunk chunk = meter.Read((*event)->data);
    metered.text_events += HasText(chunk.kind) ? 1 : 0;
    metered.text_bytes += chunk.text_bytes;
    metered.failed |= chunk.kind == ChunkKind::kError || chunk.kind == ChunkKind::kMalformed;
    metered.done |= chunk.kind == ChunkKind::kDone;
    if (chunk.usage) metered.usage = chunk.usage;
  }
  return metered;
}

std::string TrapStream(std::string_view prefix, std::string_view line_end) {
  std::string stream;
  const auto add = [&](std::string_view data) {
    stream.append(prefix).append(data).append(line_end).append(line_end);
  };
  add(Delta(R"({"role":"assistant","content":""})"));
  add(Delta(R"({"reasoning_content":"thought"})"));
  add(Delta(R"({"content":"one"})"));
  stream.append(": ping").append(line_end).append(line_end);
  add(Delta(R"({"content":"two three four five"})"));
  add(R"({"choices":[{"delta":{},"finish_reason":"stop"}]})");
  add(R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":6}})");
  add("[DONE]");
  return stream;
}

TEST(StreamTraps, RoleChunkReasoningPingsCrlfAndNoSpaceCountRight) {
  for (const char* prefix : {"data: ", "data:"}) {
    for (const char* line_end : {"\n", "\r\n", "\r"}) {
      const Metered metered = Meter(TrapStream(prefix, line_end));
      EXPECT_EQ(metered.text_events, 3u);  // Not the role chunk, not the usage chunk.
      EXPECT_EQ(metered.text_bytes, 7u + 3u + 19u);
      EXPECT_TRUE(metered.done);
      EXPECT_FALSE(metered.failed);
      EXPECT_EQ(metered.usage, (Usage{9, 6, 0}));  // Four tokens in a chunk: usage counts them.
    }
  }
}

TEST(StreamTraps, AnErrorInTheStreamIsSeen) {
  std::string stream = "data: " + Delta(R"({"content":"a"})") + "\n\n";
  AppendErrorEvent(stream, Error{Code::kUpstream, "replica died", ""});
  const Metered metered = Meter(stream);
  EXPECT_TRUE(metered.failed);
  EXPECT_FALSE(metered.done);
  EXPECT_EQ(metered.text_events, 1u);  // What came before is kept.
}

TEST(StreamTraps, AStreamWithoutUsageHasNone) {
  EXPECT_FALSE(Meter("data: " + Delta(R"({"content":"a"})") + "\n\ndata: [DONE]\n\n").usage);
}

TEST(StreamTraps, OurOwnStreamMetersAsWritten) {
  for (const ChunkFormat format : {ChunkFormat::kChat, ChunkFormat::kCompletion}) {
    for (const bool include_usage : {false, true}) {
      std::string stream;
      const ChunkWriter writer(format, {.id = "x", .model = "m\"", .created_s = 5}, include_usage);
      if (format == ChunkFormat::kChat) writer.AppendRole(stream);
      for (const char* text : {"a", "\n", "\"q\"", "é", "😀", "\x01"})
        writer.AppendText(stream, text);
      writer.AppendText(stream, "second", 1);
      writer.AppendFinish(stream, FinishReason::kLength);
      if (include_usage) writer.AppendUsage(stream, {.prompt_tokens = 1, .completion_tokens = 7});
      ChunkWriter::AppendDone(stream);
      const Metered metered = Meter(stream);
      EXPECT_EQ(metered.text_events, 7u);
      EXPECT_EQ(metered.text_bytes, 1u + 1 + 3 + 2 + 4 + 1 + 6);
      EXPECT_EQ(metered.usage.has_value(), include_usage);
      EXPECT_TRUE(metered.done && !metered.failed);
    }
  }
}

// An event that is not wholly there, framed otherwise, or different by more than its text is none
// of the short way's.
TEST(StreamMeter, ReadsWholeEventsThatDifferByTheirTextOnly) {
  StreamMeter meter;
  StreamChunk chunk;
  const auto event = [](std::string_view text) {
    return "data: " + Delta(R"({"content":")" + std::string(text) + R"("})") + "\n\n";
  };
  EXPECT_EQ(meter.ReadLikeLast(event("a"), chunk), 0u) << "nothing is learned yet";
  meter.Read(Delta(R"({"content":"first"})"));
  for (const std::string_view text : {"a", " water", R"(\"\\)", R"(\n)", "é", "\"}] {"}) {
    const std::string bytes = event(text);
    const bool plain = text != "\"}] {";
    SCOPED_TRACE(bytes);
    EXPECT_EQ(meter.ReadLikeLast(bytes + event("next"), chunk), plain ? bytes.size() : 0u);
    if (plain) EXPECT_EQ(chunk, ParseStreamChunk(bytes.substr(6, bytes.size() - 8)));
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      EXPECT_EQ(meter.ReadLikeLast(std::string_view(bytes).substr(0, cut), chunk), 0u);
    }
  }
  const std::string bytes = event("x");
  for (const std::string_view text : {"", "a\nb", "\xC3", R"(\u0041)", "a\"b"}) {
    EXPECT_EQ(meter.ReadLikeLast(event(text), chunk), 0u) << text;
  }
  EXPECT_EQ(meter.ReadLikeLast("data:" + bytes.substr(6), chunk), 0u);
  EXPECT_EQ(meter.ReadLikeLast(bytes.substr(0, bytes.size() - 2) + "\r\n\r\n", chunk), 0u);
  EXPECT_EQ(meter.ReadLikeLast(": x\n" + bytes, chunk), 0u);
  std::string other = bytes;
  other[other.find("\"c\"") + 1] = 'd';
  EXPECT_EQ(meter.ReadLikeLast(other, chunk), 0u);
}

}  // namespace
}  // namespace penstock
