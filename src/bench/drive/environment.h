// Environment: what machine and which build a load test runs on, and what the system lets it do.
#pragma once

#include <string>

#include "base/result.h"
#include "bench/record/record.h"

namespace penstock::bench {

Environment ReadEnvironment();

// "2026-01-02T03:04:05.678Z" for milliseconds since 1970.
std::string UtcText(std::int64_t unix_ms);

// Raises this process's limit of open files so that `connections` fit. Errors: kExhausted naming
// the limit and what is needed.
Status ReserveDescriptors(int connections);

// Raises that limit as far as the system allows, and says how many connections then fit.
int AllDescriptors();

}  // namespace penstock::bench
