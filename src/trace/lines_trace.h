// Lines trace: one JSON object a line: Mooncake's, our own records, or any whose keys are named.
#pragma once

#include <string_view>

#include "base/result.h"
#include "trace/columns.h"
#include "trace/trace.h"

namespace penstock::trace {

inline constexpr int kMooncakeBlockTokens = 512;  // What one of its hash_ids stands for.

// Mooncake: timestamp (milliseconds unless `names` says otherwise), input_length, output_length,
// hash_ids. Our records (the first line is of kind "run"): scheduled_ns and the tokens that came,
// else those that were wanted; requests that only fitted prompts are left out. Errors: kCorrupt
// naming row and column, kTooLarge beyond kArrivalsMax rows.
Result<Trace> ParseLines(std::string_view text, const ColumnNames& names);

}  // namespace penstock::trace
