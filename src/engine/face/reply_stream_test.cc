#include "engine/face/reply_stream.h"

#include <gtest/gtest.h>

#include "api/stream_meter.h"

namespace penstock::engine {
namespace {

// Reads `text<name:arguments>...`; a partial call has what is there of it.
class AngleReader final : public ReplyReader {
 public:
  Result<ChatReply> Read(const std::string& text, bool partial) const override {
    ChatReply reply;
    std::string_view left = text;
    const std::size_t begin = std::min(left.find('<'), left.size());
    reply.content = left.substr(0, begin);
    left.remove_prefix(begin);
    while (left.starts_with('<')) {
      const std::size_t end = left.find('>');
      if (end == std::string_view::npos && !partial) return Fail(Code::kUpstream, "open");
      const std::string_view call = left.substr(1, std::min(end, left.size()) - 1);
      const std::size_t colon = call.find(':');
      ChatToolCall& added = reply.tool_calls.emplace_back();
      added.name = call.substr(0, colon);
      if (colon != std::string_view::npos) added.arguments = call.substr(colon + 1);
      left.remove_prefix(std::min(end, left.size() - 1) + 1);
    }
    return reply;
  }
};

// However an answer is cut, the same is told of it, and calls never change once told.
TEST(ReplyStream, TellsTheSameHoweverItIsCut) {
  const std::string text = "so:<add:{\"a\":1}><now:>";
  const AngleReader reader;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Random ids(1);
    ReplyStream reply;
    std::string content;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = std::min<std::size_t>(1 + random.Next() % 6, text.size() - at);
      reply.Feed(reader, text.substr(at, size), at + size == text.size(), ids);
      EXPECT_TRUE(reply.content().starts_with(content));
      content = reply.content();
      at += size;
    }
    EXPECT_EQ(content, "so:");
    ASSERT_EQ(reply.calls().size(), 2U);
    EXPECT_EQ(reply.calls()[0].name, "add");
    EXPECT_EQ(reply.calls()[0].arguments, "{\"a\":1}");
    EXPECT_EQ(reply.calls()[1].name, "now");
    EXPECT_NE(reply.calls()[0].id, reply.calls()[1].id);
  }
}

TEST(ReplyStream, WritesEachPartOnce) {
  const AngleReader reader;
  const ChunkWriter writer(ChunkFormat::kChat, {.id = "i", .model = "m"}, false);
  Random ids(1);
  ReplyStream reply;
  std::string out;
  for (const char* piece : {"t", "<f", "n:", "12", "3>"}) {
    reply.Feed(reader, piece, std::string_view(piece) == "3>", ids);
    reply.AppendNew(writer, 0, out);
  }
  const auto count = [&out](std::string_view part) {
    int found = 0;
    for (std::size_t at = out.find(part); at != std::string::npos; at = out.find(part, at + 1)) {
      ++found;
    }
    return found;
  };
  EXPECT_EQ(count(R"("content":"t")"), 1);
  EXPECT_EQ(count(R"("name":"fn")"), 1);
  EXPECT_EQ(count(R"("arguments":"12")"), 1);
  EXPECT_EQ(count(R"("function":{"arguments":"3"})"), 1);
}

TEST(ReplyStream, WhatCannotBeReadIsText) {
  const AngleReader reader;
  Random ids(1);
  ReplyStream reply;
  reply.Feed(reader, "a<b", true, ids);
  EXPECT_EQ(reply.content(), "a<b");
  EXPECT_FALSE(reply.HasCalls());
}

TEST(ReplyStream, ACallThatIsCutHasWhatIsThereOfIt) {
  const AngleReader reader;
  Random ids(1);
  ReplyStream reply;
  reply.Feed(reader, "<f:12><g:3", true, ids);
  ASSERT_EQ(reply.calls().size(), 2U);
  EXPECT_EQ(reply.calls()[1].arguments, "3");
}

TEST(ReplyStream, TellsNoMoreCallsThanItMay) {
  const AngleReader reader;
  Random ids(1);
  ReplyStream reply(1);
  reply.Feed(reader, "<f:12>", false, ids);
  EXPECT_FALSE(reply.Complete());
  reply.Feed(reader, "<g", false, ids);
  EXPECT_TRUE(reply.Complete());
  reply.Feed(reader, ":3>", true, ids);
  ASSERT_EQ(reply.calls().size(), 1U);
  EXPECT_EQ(reply.calls()[0].arguments, "12");
}

}  // namespace
}  // namespace penstock::engine
