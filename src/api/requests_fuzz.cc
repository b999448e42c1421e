// Properties: no body crashes a reader; what is read keeps the limits that its type promises; and a
// gateway that peeked at the same body saw the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "api/answers.h"
#include "api/peek.h"
#include "api/requests.h"

namespace penstock {
namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckOptions(const GenerationOptions& options) {
  const Sampling& sampling = options.sampling;
  Require(sampling.temperature >= 0 && sampling.temperature <= 2);
  Require(sampling.top_p > 0 && sampling.top_p <= 1 && sampling.top_k >= 0);
  Require(sampling.min_p >= 0 && sampling.min_p <= 1);
  Require(options.stop.size() <= kStopsMax && options.n >= 1 && options.n <= kChoicesMax);
  Require(!options.tokens_max || *options.tokens_max >= 1);
  Require(options.tokens_min <= options.tokens_max.value_or(options.tokens_min));
  Require(options.stream || !options.include_usage);
  for (const std::string& stop : options.stop) Require(!stop.empty());
}

void CheckPeek(PaddedView body, const std::string& model, const GenerationOptions& options,
               bool completes) {
  const auto peek = PeekRequest(body);
  // It reads the fields of all operations, and so may refuse what one of them does not look at.
  if (!peek) return;
  Require(peek->model == model && peek->stream == options.stream);
  Require(peek->include_usage == options.include_usage);
  Require(peek->choices >=
          options.n);  // More where a chat request has best_of, which only completions know.
  // The gateway knows more names of the limit, and completions have one that nobody gave.
  const bool by_default =
      completes && options.tokens_max == std::max(kCompletionTokensDefault, options.tokens_min);
  if (by_default || !options.tokens_max) return;
  Require(peek->tokens_max.has_value() && *peek->tokens_max >= *options.tokens_max);
}

void CheckAll(std::string& text) {
  const PaddedView body(text);
  if (const auto chat = ParseChatRequest(body)) {
    Require(!chat->messages.empty());
    CheckOptions(chat->options);
    CheckPeek(body, chat->model, chat->options, false);
  }
  if (const auto completion = ParseCompletionRequest(body)) {
    Require(!completion->prompts.empty() && completion->prompts.size() <= kInputsMax);
    CheckOptions(completion->options);
    CheckPeek(body, completion->model, completion->options, true);
  }
  if (const auto embedding = ParseEmbeddingRequest(body)) Require(!embedding->inputs.empty());
  (void)ParseTokenizeRequest(body);
  (void)ParseDetokenizeRequest(body);
  (void)ReadCompletion(body);
  (void)ReadEmbeddings(body);
  (void)ReadTokens(body);
  Require(ReadErrorMessage(text).size() <= 512);
}

}  // namespace
}  // namespace penstock

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string text(reinterpret_cast<const char*>(bytes), size);
  penstock::CheckAll(text);
  return 0;
}
