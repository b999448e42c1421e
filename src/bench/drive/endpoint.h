// Endpoint: where a load test's requests go and what they say. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "bench/workload/message.h"

namespace penstock::bench {

enum class Dialect {
  kChat,        // {"messages": [...]}
  kCompletion,  // {"prompt": "..."}
  kEmbeddings,  // {"input": "..."}; never streamed, no output.
};
std::optional<Dialect> DialectNamed(std::string_view name);  // "chat", "completions", "embeddings"

// Which field of the head carries the key.
enum class KeyField {
  kBearer,  // authorization: Bearer KEY
  kApiKey,  // api-key: KEY, as Azure has it.
};

struct Endpoint {
  std::string url;     // For the report: without the query, which may hold a secret.
  std::string origin;  // "http://host:port" or "unix:/path", as http::Url parses it.
  std::string target;  // Path and query.
  // Where the same server would count tokens, "" if there is no telling.
  std::string tokenize_target;
  Dialect dialect = Dialect::kChat;
  KeyField key_field = KeyField::kBearer;  // kApiKey for Azure's deployments.

  // A base ("http://host:port", ".../v1") gets the path of chat completions; any other path is used
  // as it is: ".../v1/completions", ".../serving-endpoints/NAME/invocations", ".../deployments/D/
  // chat/completions?api-version=...". Errors: kInvalidArgument naming the URL.
  static Result<Endpoint> FromUrl(std::string_view url);
  // Asks for another API than the path tells: for invocations, which take any. A base gets that
  // API's path.
  static Result<Endpoint> FromUrl(std::string_view url, std::optional<Dialect> dialect,
                                  std::string_view api_version = {});
};

// What keeps a reply at its wanted length. Servers refuse what they do not know, so that a run
// finds the first of kEnforcements which its server takes.
struct Enforcement {
  bool ignore_end = true;          // `ignore_eos` and `min_tokens`.
  bool completion_tokens = false;  // `max_completion_tokens` in place of `max_tokens`.
  bool include_usage = true;       // `stream_options.include_usage`.
};
inline constexpr Enforcement kEnforcements[] = {
    {},
    {.ignore_end = false},
    {.ignore_end = false, .completion_tokens = true},
    {.ignore_end = false, .include_usage = false},
};

struct BodySettings {
  std::string_view model{};  // "" leaves it out.
  int output_tokens = 0;
  bool streamed = true;
  Enforcement enforcement{};
};

// A request's body.
std::string RequestBody(Dialect dialect, const BodySettings& settings, const Messages& messages);

// The body of a request that counts the tokens of `prompt`.
std::string TokenizeBody(std::string_view model, std::string_view prompt);

// The count in such a request's answer: its "count", else the length of its "tokens". Errors:
// kUpstream.
Result<int> TokenCount(std::string_view answer);

}  // namespace penstock::bench
