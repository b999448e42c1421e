#include "bench/endpoint.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdint>
#include <iterator>

#include "bench/record_json.h"
#include "http/url.h"

namespace penstock::bench {
namespace {

constexpr std::string_view kChatPath = "/chat/completions";

std::string WithoutTrailingSlash(std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

Result<Endpoint> Endpoint::FromUrl(std::string_view url) {
  auto parsed = http::Url::Parse(url);
  if (!parsed) return Fail(Code::kInvalidArgument, parsed.error().message, "url");
  std::string path = WithoutTrailingSlash(parsed->path);
  if (path.empty()) path = "/v1";
  if (path.ends_with("/v1")) path += kChatPath;
  parsed->path = path;

  Endpoint endpoint;
  endpoint.target = parsed->Target();
  // The tokenizer's path lies beside /v1; other dialects have none that we know.
  if (const auto at = path.rfind("/v1/"); at != std::string::npos) {
    endpoint.tokenize_target = path.substr(0, at) + "/tokenize";
  }
  const bool text = path.ends_with("/completions") && !path.ends_with(kChatPath);
  endpoint.dialect = text ? Dialect::kCompletion : Dialect::kChat;
  parsed->query.clear();
  endpoint.url = parsed->ToString();
  parsed->path = "/";
  endpoint.origin = parsed->ToString();
  return endpoint;
}

std::string RequestBody(Dialect dialect, const BodySettings& settings, std::string_view prompt) {
  std::string body;
  body.reserve(prompt.size() + 400);
  body += '{';
  if (!settings.model.empty()) {
    body += "\"model\":";
    AppendJsonString(settings.model, body);
    body += ',';
  }
  body += dialect == Dialect::kChat ? R"("messages":[{"role":"user","content":)" : R"("prompt":)";
  AppendJsonString(prompt, body);
  if (dialect == Dialect::kChat) body += "}]";
  const Enforcement& enforcement = settings.enforcement;
  fmt::format_to(std::back_inserter(body), ",\"{}\":{},\"temperature\":1",
                 enforcement.completion_tokens ? "max_completion_tokens" : "max_tokens",
                 settings.output_tokens);
  if (enforcement.ignore_end) {
    fmt::format_to(std::back_inserter(body), ",\"min_tokens\":{},\"ignore_eos\":true",
                   settings.output_tokens);
  }
  if (settings.streamed) {
    body += ",\"stream\":true";
    if (enforcement.include_usage) body += R"(,"stream_options":{"include_usage":true})";
  }
  body += '}';
  return body;
}

std::string TokenizeBody(std::string_view model, std::string_view prompt) {
  std::string body = "{";
  if (!model.empty()) {
    body += "\"model\":";
    AppendJsonString(model, body);
    body += ',';
  }
  body += "\"prompt\":";
  AppendJsonString(prompt, body);
  body += '}';
  return body;
}

Result<int> TokenCount(std::string_view answer) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::int64_t count = 0;
  simdjson::dom::array tokens;
  if (parser.parse(simdjson::padded_string(answer)).get(root) != simdjson::SUCCESS) {
    return Fail(Code::kUpstream, "the tokenizer's answer is not JSON");
  }
  if (root["count"].get(count) == simdjson::SUCCESS && count >= 0 && count < INT32_MAX) {
    return static_cast<int>(count);
  }
  if (root["tokens"].get(tokens) == simdjson::SUCCESS) return static_cast<int>(tokens.size());
  return Fail(Code::kUpstream, "the tokenizer's answer has neither \"count\" nor \"tokens\"");
}

}  // namespace penstock::bench
