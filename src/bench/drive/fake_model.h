// A model server for tests that knows the truth: exact token counts, exact times, and every fault.
#pragma once

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "http/exchange.h"
#include "http/server.h"
#include "io/loop.h"
#include "io/task.h"

namespace penstock::bench::testing {

// A tokenizer with the vices of real ones: words cost by length, numbers by groups of three digits,
// every other character is a token.
inline int CountTokens(std::string_view text) {
  const auto is = [&text](int (*kind)(int), std::size_t at) {
    return at < text.size() && kind(static_cast<unsigned char>(text[at])) != 0;
  };
  int tokens = 0;
  for (std::size_t at = 0; at < text.size(); ++tokens) {
    std::size_t end = at + 1;
    if (is(std::isdigit, at)) {
      while (end < at + 3 && is(std::isdigit, end)) ++end;
    } else {
      while (is(std::isalpha, end)) ++end;
      if (end - at > 7) ++tokens;
    }
    at = end;
  }
  return tokens;
}

enum class Fault {
  kNone,
  kCut,
  kErrorEvent,
  kStall,
  kStatus429,  // With retry-after.
  kStatus500,
  kStatus401,
  kStatus404,
  kStatus503,
  kHtml,
  kBadJson,     // An event in the middle is no JSON.
  kSplitUtf8,   // A character is cut in two by the border of two events.
  kNoDone,      // Everything comes, but [DONE].
  kUsageSmall,  // The usage counts half of the tokens that came.
  kUsageLarge,  // It counts twice as many.
};

struct FakeModel {
  explicit FakeModel(io::Loop& on) : loop(on) {}

  io::Loop& loop;
  Duration ttft = std::chrono::milliseconds(100);
  Duration gap = std::chrono::milliseconds(10);
  // More requests at once than so many make every gap longer in proportion. 0: none do.
  int knee = 0;
  int template_tokens = 17;      // What the chat template adds to a prompt.
  Fault fault = Fault::kNone;    // Of every request with more than one output token.
  bool fails_probes = false;     // With that fault.
  bool knows_ignore_eos = true;  // Else a request with it is refused.
  bool has_tokenizer = false;
  bool tells_usage = true;
  int tokens_per_token = 1;  // It counts so many where CountTokens() counts one.
  int context_tokens = 0;    // A longer prompt is refused with 400. 0: none is.
  std::string key;           // "" takes everyone.
  bool echoes_key = false;   // A refusal repeats the key that it was sent.

  int requests = 0;
  int counts = 0;  // Of the tokenizer.
  int in_flight = 0;
  int in_flight_max = 0;
  std::string last_body;

  http::Handler handler() {
    return [this](http::Exchange& exchange) { return Answer(*this, exchange); };
  }

 private:
  struct Asked {
    std::string prompt;
    int output_tokens = 0;
    bool streamed = false;
  };

  static Asked Read(std::string_view body) {
    simdjson::dom::parser parser;
    const simdjson::dom::element root = parser.parse(simdjson::padded_string(body));
    Asked asked;
    std::string_view prompt;
    if (root["prompt"].get(prompt) == simdjson::SUCCESS) {
      asked.prompt = prompt;
    } else {
      for (const simdjson::dom::element message : root["messages"]) {
        asked.prompt += std::string_view(message["content"]);
      }
    }
    std::int64_t tokens = 0;
    if (root["max_tokens"].get(tokens) == simdjson::SUCCESS) {
      asked.output_tokens = static_cast<int>(tokens);
    }
    asked.streamed = root["stream"].error() == simdjson::SUCCESS;
    return asked;
  }

  static std::string Event(std::string_view delta, std::string_view rest) {
    return fmt::format(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{},\"finish_reason\":{}}}]}}\n\n", delta,
        rest);
  }

  std::string UsageText(const Asked& asked) const {
    const int tokens = fault == Fault::kUsageSmall   ? asked.output_tokens / 2
                       : fault == Fault::kUsageLarge ? asked.output_tokens * 2
                                                     : asked.output_tokens;
    return fmt::format("\"usage\":{{\"prompt_tokens\":{},\"completion_tokens\":{}}}",
                       TokensOf(asked), tokens);
  }

  int TokensOf(const Asked& asked) const {
    return CountTokens(asked.prompt) * tokens_per_token + template_tokens;
  }

  static io::Task<void> Answer(FakeModel& model, http::Exchange& exchange) {
    const auto body = co_await exchange.ReadBody();
    if (!body) co_return;
    const Asked asked = Read(*body);
    const bool authorized =
        model.key.empty() || exchange.head().fields.Get("authorization") == "Bearer " + model.key;
    if (!authorized) {
      const std::string said = model.echoes_key
                                   ? fmt::format(R"({{"error":{{"message":"who is {}?"}}}})",
                                                 exchange.head().fields.Get("authorization"))
                                   : R"({"error":{"message":"who are you?"}})";
      static_cast<void>(co_await exchange.Respond(401, "application/json", said));
    } else if (exchange.head().path == "/tokenize") {
      ++model.counts;
      static_cast<void>(co_await exchange.Respond(
          model.has_tokenizer ? 200 : 404, "application/json",
          fmt::format("{{\"count\":{}}}", CountTokens(asked.prompt) * model.tokens_per_token)));
    } else if (model.context_tokens > 0 && model.TokensOf(asked) > model.context_tokens) {
      static_cast<void>(co_await exchange.Respond(
          400, "application/json", R"({"error":{"message":"the prompt is too long"}})"));
    } else if (!model.knows_ignore_eos && body->find("ignore_eos") != std::string_view::npos) {
      static_cast<void>(co_await exchange.Respond(
          400, "application/json", R"({"error":{"message":"unknown field: ignore_eos"}})"));
    } else {
      model.last_body = *body;
      ++model.requests;
      model.in_flight_max = std::max(model.in_flight_max, ++model.in_flight);
      co_await Generate(model, exchange, asked);
      --model.in_flight;
    }
  }

  static int StatusOf(Fault fault) {
    switch (fault) {
      case Fault::kStatus401:
        return 401;
      case Fault::kStatus404:
        return 404;
      case Fault::kStatus429:
        return 429;
      case Fault::kStatus500:
        return 500;
      case Fault::kStatus503:
        return 503;
      default:
        return 200;
    }
  }

  // What the server says in the middle of its stream instead of a token; "" for a fault that shows
  // elsewhere.
  static std::string Interjection(Fault fault) {
    switch (fault) {
      case Fault::kErrorEvent:
        return "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
      case Fault::kBadJson:
        return "data: {\"choices\":[{\"delta\n\n";
      case Fault::kSplitUtf8:
        return Event("{\"content\":\"\xC3\"}", "null") + Event("{\"content\":\"\xA9\"}", "null");
      default:
        return "";
    }
  }

  static io::Task<void> Generate(FakeModel& model, http::Exchange& exchange, Asked asked) {
    const Fault fault = asked.output_tokens > 1 || model.fails_probes ? model.fault : Fault::kNone;
    if (const int status = StatusOf(fault); status != 200) {
      static_cast<void>(co_await exchange.Respond(status, "application/json",
                                                  R"({"error":{"message":"not now"}})",
                                                  {{"retry-after", "7"}}));
    } else if (fault == Fault::kHtml) {
      static_cast<void>(co_await exchange.Respond(200, "text/html", "<h1>Welcome</h1>"));
    } else if (asked.streamed) {
      co_await Stream(model, exchange, asked, fault);
    } else {
      static_cast<void>(
          co_await model.loop.Sleep(model.ttft + model.gap * (asked.output_tokens - 1)));
      static_cast<void>(co_await exchange.Respond(
          200, "application/json",
          fmt::format("{{\"choices\":[{{\"message\":{{\"content\":\"x\"}},\"finish_reason\":"
                      "\"length\"}}],{}}}",
                      model.UsageText(asked))));
    }
  }

  // The opening chunk at once, then the tokens in their time.
  static io::Task<void> Stream(FakeModel& model, http::Exchange& exchange, Asked asked,
                               Fault fault) {
    const TimePoint start = model.loop.Now();
    exchange.StartStream(200, "text/event-stream");
    const std::string role = Event(R"({"role":"assistant","content":""})", "null");
    if (!co_await exchange.WriteChunk(role)) co_return;
    for (int token = 0; token < asked.output_tokens; ++token) {
      if (model.knee > 0 && token > 0) {
        const double crowd = std::max(1.0, static_cast<double>(model.in_flight) / model.knee);
        const auto gap = std::chrono::duration_cast<Duration>(model.gap * crowd);
        if (!co_await model.loop.Sleep(gap)) co_return;
      } else if (!co_await model.loop.SleepUntil(start + model.ttft + token * model.gap)) {
        co_return;
      }
      if (token == asked.output_tokens / 2) {
        if (fault == Fault::kStall)
          static_cast<void>(co_await model.loop.Sleep(std::chrono::hours(1)));
        if (fault == Fault::kStall || fault == Fault::kCut) co_return;  // Within the stream.
        if (const std::string said = Interjection(fault); !said.empty()) {
          static_cast<void>(co_await exchange.Finish(said));
          co_return;
        }
      }
      const std::string event = Event(R"({"content":" tok"})", "null");
      if (!co_await exchange.WriteChunk(event)) co_return;
    }
    std::string end = Event("{}", "\"length\"");
    if (model.tells_usage) end += "data: {\"choices\":[]," + model.UsageText(asked) + "}\n\n";
    if (fault != Fault::kNoDone) end += "data: [DONE]\n\n";
    static_cast<void>(co_await exchange.Finish(end));
  }
};

}  // namespace penstock::bench::testing
