// Answers as a client reads them: usage, text and errors of responses that are not streamed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "api/requests.h"
#include "api/usage.h"
#include "base/result.h"

namespace penstock {

// A chat or text completion.
struct CompletionAnswer {
  std::string model;
  std::string text;                           // Of the first choice, content only.
  FinishReason finish = FinishReason::kNone;  // Of the first choice.
  std::size_t choices = 0;
  bool has_usage = false;
  Usage usage;
};

struct EmbeddingAnswer {
  std::vector<std::vector<float>> vectors;  // From lists of numbers or from base64.
  bool has_usage = false;
  Usage usage;
};

// Errors: Code::kUpstream, naming what is not as it should be. Any thread.
Result<CompletionAnswer> ReadCompletion(PaddedView body);
Result<EmbeddingAnswer> ReadEmbeddings(PaddedView body);
// Token ids of an answer of /tokenize.
Result<std::vector<TokenId>> ReadTokens(PaddedView body);

// The message of an error body of any dialect; the beginning of the body where it has none; "(no
// body)" for an empty one. At most 512 bytes, on one line.
std::string ReadErrorMessage(std::string_view body);
// Its code, if the error has one of its own that clients act on ("context_length_exceeded",
// "content_filter"); "" otherwise.
std::string ReadErrorCode(std::string_view body);
// The field that an error names; "" if it names none.
std::string ReadErrorParam(std::string_view body);

}  // namespace penstock
