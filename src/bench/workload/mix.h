// Mix: what kinds of requests a load consists of, and in which shares.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bench/workload/data_set.h"
#include "bench/workload/lengths.h"
#include "bench/workload/workload.h"

namespace penstock::bench {

inline constexpr int kTurnsMax = 256;  // Of one conversation.

// One kind of request.
struct WorkloadPart {
  std::string name{};  // "reference", "chat", …; stands in the records of a mix.
  double weight = 1;   // Its share of the requests is weight ÷ the sum of all weights.
  Lengths input = Lengths::Fixed(kReferenceInputTokens);  // Of a turn: what the user adds.
  Lengths output = Lengths::Fixed(kReferenceOutputTokens);
  // So many of the prompts begin with one of `prefixes` texts of this many tokens, which count
  // besides `input`.
  double prefix_share = 0;  // 0 to 1.
  int prefix_tokens = 0;
  int prefixes = 1;
  Lengths turns = Lengths::Fixed(1);
  std::int64_t think_ms = 0;              // Between a reply's end and the next turn.
  std::shared_ptr<const DataSet> data{};  // Prompts to use; null: cut from the corpus.
};

struct Mix {
  std::vector<WorkloadPart> parts{};

  // The presets' names, for --help and for errors.
  static std::string Presets();

  // "chat", or "chat=3,rag=1": presets with weights; "" is the reference workload. Errors:
  // kInvalidArgument naming "workload".
  static Result<Mix> Parse(std::string_view text);

  // Every request is alike: one part, no prefix, one turn, one length.
  bool IsUniform() const;
};

// "0.5:1024" or "0.5:1024:8": share, tokens and number of shared prefixes, into every part. Errors:
// kInvalidArgument naming "prefix".
Status SetPrefix(std::string_view text, Mix& mix);

}  // namespace penstock::bench
