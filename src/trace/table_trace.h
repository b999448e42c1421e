// Table trace: Azure's LLM inference traces, BurstGPT, or any CSV whose columns are named.
#pragma once

#include <string_view>

#include "base/result.h"
#include "trace/columns.h"
#include "trace/trace.h"

namespace penstock::trace {

// The first row is the header. Plain numbers of time count seconds unless `names` says otherwise.
// Errors: kCorrupt naming row and column, kTooLarge beyond kArrivalsMax rows.
Result<Trace> ParseTable(std::string_view text, const ColumnNames& names);

}  // namespace penstock::trace
