#include "meter/payload_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/test_folder.h"

namespace penstock::meter {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kSecret = "psk_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string ContentOf(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

PayloadEntry EntryOf(std::string request, std::string response) {
  return {.endpoint = "chat",
          .request_id = "r1",
          .client_request_id = "c1",
          .served_entity = "m-1",
          .requester = "alice",
          .started_at = WallTime(std::chrono::milliseconds(1'764'068'400'123)),
          .duration_ms = 42,
          .status = 200,
          .request = std::move(request),
          .response = std::move(response)};
}

TEST(PayloadLog, WritesALineForEachEntry) {
  const TestFolder folder;
  {
    PayloadLog log(folder.File("payloads"));
    log.Add(EntryOf(R"({"messages":[]})", R"({"choices":[]})"));
    log.Add(EntryOf("{}", "{}"));
  }
  const std::string text = ContentOf(folder.File("payloads/chat.jsonl"));
  ASSERT_EQ(std::ranges::count(text, '\n'), 2);
  const auto line = boost::json::parse(text.substr(0, text.find('\n')));
  EXPECT_EQ(line.at("request").as_string(), R"({"messages":[]})");
  EXPECT_EQ(line.at("request_date").as_string(), "2025-11-25");
  EXPECT_EQ(line.at("request_time").as_string(), "2025-11-25T11:00:00.123Z");
  EXPECT_EQ(line.at("execution_duration_ms").to_number<int>(), 42);
  EXPECT_EQ(line.at("requester").as_string(), "alice");
  EXPECT_TRUE(line.at("logging_error_codes").as_array().empty());
}

TEST(PayloadLog, RotatesAndKeepsABoundedNumberOfFiles) {
  const TestFolder folder;
  {
    PayloadLog log(folder.File("payloads"), {.file_bytes_max = 2000, .files_max = 3});
    for (int i = 0; i < 50; ++i) log.Add(EntryOf(std::string(500, 'x'), "{}"));
  }
  std::size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder.File("payloads"))) {
    EXPECT_LE(file.file_size(), 2000u);
    ++files;
  }
  EXPECT_EQ(files, 3u);
}

TEST(PayloadLog, AFullQueueDropsAndCounts) {
  const TestFolder folder;
  PayloadLog log(folder.File("payloads"), {.queue_bytes_max = 100});
  log.Add(EntryOf(std::string(500, 'x'), "{}"));
  EXPECT_EQ(log.counters().dropped, 1u);
}

TEST(PayloadLog, WhatIsTooLargeIsLeftOutAndNamed) {
  PayloadEntry entry = EntryOf("", "{}");
  entry.request_too_large = true;
  const auto line = boost::json::parse(ToJsonLine(entry));
  EXPECT_TRUE(line.at("request").is_null());
  EXPECT_EQ(line.at("logging_error_codes").at(0).as_string(), "MAX_REQUEST_SIZE_EXCEEDED");
}

TEST(Redact, BlotsOutKeys) {
  EXPECT_EQ(Redact("key " + kSecret + "!"), "key psk_***!");
  EXPECT_EQ(Redact("Bearer abcdefghijklmnopqrstuvwxyz"), "Bearer ***");
  EXPECT_EQ(Redact("sk-proj-abcdefghijklmnop"), "sk-***");
  for (const char* text : {"", "sk-iing", "a task-force-of-very-many-people", "Bearer of news"}) {
    EXPECT_EQ(Redact(text), text);
  }
  EXPECT_THAT(ToJsonLine(EntryOf(kSecret, kSecret)), Not(HasSubstr("0123456789abcdef")));
}

TEST(AggregateStream, PutsAChatTogether) {
  const std::string stream =
      "data: "
      "{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]"
      "}\n\n"
      "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n"
      "data: "
      "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}"
      "\r\n\r\n"
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\ndata: [DONE]\n\n";
  const auto whole = boost::json::parse(AggregateStream(stream));
  EXPECT_EQ(whole.at("object").as_string(), "chat.completion");
  EXPECT_EQ(whole.at("id").as_string(), "x");
  EXPECT_EQ(whole.at("choices").at(0).at("message").at("content").as_string(), "Hello");
  EXPECT_EQ(whole.at("choices").at(0).at("finish_reason").as_string(), "stop");
  EXPECT_EQ(whole.at("usage").at("prompt_tokens").to_number<int>(), 3);
}

TEST(AggregateStream, PutsCompletionsAndToolCallsTogether) {
  const auto text = boost::json::parse(
      AggregateStream("data: {\"choices\":[{\"index\":1,\"text\":\"b\"}]}\n\ndata: "
                      "{\"choices\":[{\"index\":1,\"text\":\"c\"}]}\n\n"));
  EXPECT_EQ(text.at("object").as_string(), "text_completion");
  EXPECT_EQ(text.at("choices").at(0).at("text").as_string(), "bc");
  const auto tools = boost::json::parse(AggregateStream(
      R"(data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{"}}]}}]})"
      "\n"
      R"(data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}}]})"
      "\n"));
  EXPECT_EQ(tools.at("choices")
                .at(0)
                .at("message")
                .at("tool_calls")
                .at(0)
                .at("function")
                .at("arguments")
                .as_string(),
            "{}");
  EXPECT_EQ(AggregateStream("nonsense"), "nonsense");
}

}  // namespace
}  // namespace penstock::meter
