// The fake model's responses: text only.
#include "answers.h"

#include <fmt/format.h>

namespace measure {
namespace {

std::string Chunk(std::string_view payload) {
  return fmt::format("{:x}\r\n{}\r\n", payload.size(), payload);
}

constexpr std::string_view kTokenChoice =
    R"({"index":0,"delta":{"content":" water"},"finish_reason":null})";

std::string EventWithId(std::string_view id, std::string_view choices, std::string_view more) {
  return fmt::format(
      "data: {{\"id\":\"chatcmpl-{}\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,"
      "\"model\":\"bench\",\"choices\":[{}]{}}}\n\n",
      id, choices, more);
}

// The id is as long as makes a token's event kEventBytes long.
std::string Event(std::string_view choices, std::string_view more = "") {
  static const std::string id(kEventBytes - EventWithId("", kTokenChoice, "").size(), '7');
  return EventWithId(id, choices, more);
}

}  // namespace

const std::string& StreamHead() {
  static const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
      "Transfer-Encoding: chunked\r\n\r\n" +
      Chunk(Event(R"({"index":0,"delta":{"role":"assistant","content":""},)"
                  R"("finish_reason":null})"));
  return head;
}

std::string TokenEvents(int count) {
  static const std::string event = Chunk(Event(kTokenChoice));
  std::string events;
  for (int i = 0; i < count; ++i) events += event;
  return events;
}

std::string StreamEnd(bool with_usage, long prompt_tokens, long output_tokens) {
  std::string end = Chunk(Event(R"({"index":0,"delta":{},"finish_reason":"length"})"));
  if (with_usage) {
    end +=
        Chunk(Event("", fmt::format(",\"usage\":{{\"prompt_tokens\":{},\"completion_tokens\":{},"
                                    "\"total_tokens\":{}}}",
                                    prompt_tokens, output_tokens, prompt_tokens + output_tokens)));
  }
  return end + Chunk("data: [DONE]\n\n") + "0\r\n\r\n";
}

std::string JsonAnswer(std::string_view status, std::string_view body) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", status,
      body.size(), body);
}

std::string Completion(long prompt_tokens, long output_tokens) {
  return fmt::format(
      R"({{"id":"chatcmpl-7","object":"chat.completion","created":1760000000,"model":"bench",)"
      R"("choices":[{{"index":0,"message":{{"role":"assistant","content":"Water finds its way: )"
      R"(what the reservoir holds, the gate lets through at the rate that was agreed."}},)"
      R"("finish_reason":"stop"}}],"usage":{{"prompt_tokens":{},"completion_tokens":{},)"
      R"("total_tokens":{}}}}})",
      prompt_tokens, output_tokens, prompt_tokens + output_tokens);
}

std::string ModelList() {
  return R"({"object":"list","data":[{"id":"bench","object":"model","created":1760000000,)"
         R"("owned_by":"measure"}]})";
}

std::string NotFound() {
  return R"({"error":{"message":"no such path","type":"invalid_request_error"}})";
}

}  // namespace measure
