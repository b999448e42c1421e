// Properties: a peek takes exactly the JSON objects that the whole-document parser takes, unless it
// names a field; its short way, where it answers, answers as the full parse; and a rewritten body
// reads as the old one but for what was changed.
#include <simdjson.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "api/object_reader.h"
#include "api/peek.h"
#include "api/quick_peek.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckRewrites(const std::string& body, const penstock::RequestPeek& peek) {
  std::string rewritten = penstock::RewriteRequest(
      body, peek, {.request_usage = true, .model = std::string_view("a\"b\n")});
  const auto again = penstock::PeekRequest(penstock::PaddedView(rewritten));
  Require(again.has_value());
  Require(again->include_usage && again->has_stream_options);
  Require(again->model == "a\"b\n");
  Require(again->stream == peek.stream && again->tokens_max == peek.tokens_max);
  Require(again->choices == peek.choices && again->prompt_bytes == peek.prompt_bytes);
  Require(again->prompt_token_ids == peek.prompt_token_ids);
  Require(penstock::RewriteRequest(body, peek, {}) == body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string body(reinterpret_cast<const char*>(bytes), size);
  const penstock::PaddedView padded(body);
  const auto peek = penstock::PeekRequest(padded);
  penstock::RequestPeek quick;
  if (penstock::internal::QuickPeek(body, quick)) {
    const auto full = penstock::internal::PeekInFull(padded);
    Require(full.has_value() && *full == quick);
  }
  simdjson::dom::parser parser;
  const auto root = penstock::internal::ParseRoot(parser, padded);
  if (peek) {
    Require(root.has_value());
    CheckRewrites(body, *peek);
  } else if (peek.error().field.empty()) {
    Require(!root.has_value());
  }
  return 0;
}
