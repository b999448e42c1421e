// Generation: what becomes of one request's tokens: the text that may leave, and when it is
// finished.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "engine/stop_matcher.h"
#include "engine/utf8_stream.h"

namespace penstock::engine {

struct GenerationLimits {
  int output_tokens_max = 1;  // At least 1.
  int output_tokens_min = 0;
  bool ignore_end_of_generation = false;
};

// A pure value: tokens in, text and verdict out.
class Generation {
 public:
  Generation(GenerationLimits limits, std::vector<std::string> stops)
      : limits_(limits), stops_(std::move(stops)) {}

  // Whether the end-of-generation tokens must not be drawn next.
  bool MustContinue() const {
    return limits_.ignore_end_of_generation || tokens_ < limits_.output_tokens_min;
  }

  // Takes one drawn token with its bytes; appends text that may leave to `out`. When it returns a
  // reason everything has been flushed and nothing more may be given.
  std::optional<FinishReason> Accept(std::string_view piece, bool end_of_generation,
                                     std::string& out);

  // Nothing more follows: flushes what was held back.
  void End(std::string& out);

  int tokens() const { return tokens_; }

 private:
  GenerationLimits limits_;
  StopMatcher stops_;
  Utf8Stream utf8_;
  std::string unmatched_;  // Scratch: bytes that passed the stop matcher.
  int tokens_ = 0;
};

// How many tokens a request may generate: what it asks for, or all that the context has left after
// its prompt, whichever is less. `requested` 0 asks for all. Refuses a prompt that leaves no room
// for one.
Result<int> OutputLimit(int prompt_tokens, int requested, int context_tokens);

}  // namespace penstock::engine
