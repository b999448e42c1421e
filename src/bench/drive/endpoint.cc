#include "bench/drive/endpoint.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdint>
#include <iterator>

#include "bench/record/record_json.h"
#include "http/url.h"

namespace penstock::bench {
namespace {

constexpr std::string_view kChatPath = "/chat/completions";

std::string_view PathOf(Dialect dialect) {
  switch (dialect) {
    case Dialect::kChat:
      return kChatPath;
    case Dialect::kCompletion:
      return "/completions";
    case Dialect::kEmbeddings:
      return "/embeddings";
  }
  return "";
}

std::string_view RoleName(Message::Role role) {
  switch (role) {
    case Message::Role::kSystem:
      return "system";
    case Message::Role::kUser:
      return "user";
    case Message::Role::kAssistant:
      return "assistant";
  }
  return "";
}

void AppendMessages(const Messages& messages, std::string& body) {
  body += "\"messages\":[";
  for (std::size_t i = 0; i < messages.size(); ++i) {
    fmt::format_to(std::back_inserter(body), R"({}{{"role":"{}","content":)", i > 0 ? "," : "",
                   RoleName(messages[i].role));
    AppendJsonString(messages[i].text, body);
    body += '}';
  }
  body += ']';
}

// A conversation for an API that knows only text.
std::string OneText(const Messages& messages) {
  std::string text;
  for (const Message& message : messages) {
    if (!text.empty()) text += "\n\n";
    text += message.text;
  }
  return text;
}

std::string WithoutTrailingSlash(std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

std::optional<Dialect> DialectNamed(std::string_view name) {
  if (name == "chat") return Dialect::kChat;
  if (name == "completions") return Dialect::kCompletion;
  if (name == "embeddings") return Dialect::kEmbeddings;
  return std::nullopt;
}

Result<Endpoint> Endpoint::FromUrl(std::string_view url) { return FromUrl(url, std::nullopt); }

Result<Endpoint> Endpoint::FromUrl(std::string_view url, std::optional<Dialect> dialect,
                                   std::string_view api_version) {
  auto parsed = http::Url::Parse(url);
  if (!parsed) return Fail(Code::kInvalidArgument, parsed.error().message, "url");
  std::string path = WithoutTrailingSlash(parsed->path);
  if (path.empty()) path = "/v1";
  const bool azure = path.find("/openai/deployments/") != std::string::npos;
  // ".../openai/deployments/NAME", without an API behind it.
  const bool bare =
      path.ends_with("/v1") || (azure && path.substr(0, path.rfind('/')).ends_with("/deployments"));
  if (bare) path += PathOf(dialect.value_or(Dialect::kChat));
  parsed->path = path;

  Endpoint endpoint;
  if (!api_version.empty() && parsed->query.find("api-version=") == std::string::npos) {
    if (!parsed->query.empty()) parsed->query += '&';
    parsed->query += fmt::format("api-version={}", api_version);
  }
  endpoint.target = parsed->Target();
  endpoint.key_field = azure ? KeyField::kApiKey : KeyField::kBearer;
  // The tokenizer's path lies beside /v1; other dialects have none that we know.
  if (const auto at = path.rfind("/v1/"); at != std::string::npos) {
    endpoint.tokenize_target = path.substr(0, at) + "/tokenize";
  }
  const bool text = path.ends_with("/completions") && !path.ends_with(kChatPath);
  endpoint.dialect = path.ends_with("/embeddings") ? Dialect::kEmbeddings
                     : text                        ? Dialect::kCompletion
                                                   : Dialect::kChat;
  if (dialect) endpoint.dialect = *dialect;
  parsed->query.clear();
  endpoint.url = parsed->ToString();
  parsed->path = "/";
  endpoint.origin = parsed->ToString();
  return endpoint;
}

std::string RequestBody(Dialect dialect, const BodySettings& settings, const Messages& messages) {
  std::string body;
  std::size_t bytes = 400;
  for (const Message& message : messages) bytes += message.text.size() + 40;
  body.reserve(bytes);
  body += '{';
  if (!settings.model.empty()) {
    body += "\"model\":";
    AppendJsonString(settings.model, body);
    body += ',';
  }
  if (dialect == Dialect::kChat) {
    AppendMessages(messages, body);
  } else {
    body += dialect == Dialect::kEmbeddings ? "\"input\":" : "\"prompt\":";
    AppendJsonString(messages.size() == 1 ? messages.front().text : OneText(messages), body);
  }
  if (dialect == Dialect::kEmbeddings) return body + '}';
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
