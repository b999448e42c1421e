// LedgerTrace: what an endpoint was asked for, out of the usage ledger's export, to play it again.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "plan/simulation.h"

namespace penstock::plan {

struct LedgerOptions {
  std::string endpoint{};
  double speed = 1;  // 2 plays it in half of the time.
};

// JSON lines as `penstock usage records --format jsonl` writes them. Times count from the first
// request of the whole export, so that several endpoints keep their places. Of requests that were
// refused nobody knows the tokens: input by the endpoint's bytes a token, output its mean. Requests
// that were wrong (4xx but 429) are left out. Errors: kNotFound, kTooLarge, kCorrupt naming the
// line; kNotFound where the endpoint has no request.
Result<std::vector<SimArrival>> ParseLedgerTrace(std::string_view text,
                                                 const LedgerOptions& options);
Result<std::vector<SimArrival>> ReadLedgerTrace(const std::string& path,
                                                const LedgerOptions& options);

}  // namespace penstock::plan
