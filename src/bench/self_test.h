// Self-test: what this machine's measuring is worth, found against a server that knows the truth.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "bench/null_server.h"
#include "bench/record/record.h"

namespace penstock::bench {

struct SelfTestOptions {
  int streams = 500;
  int tokens = 40;  // Of each stream, twice: two seconds each at twenty a second.
  int threads = 1;  // Driver threads.
};

// Blocks for a few seconds. Errors: those of listening and of RunBench(); kCancelled.
Result<SelfTest> RunSelfTest(const SelfTestOptions& options, const std::atomic<bool>& stop);

// Compares records with the truth: `salt_of` of a record's id is the truth's key. `start`: what the
// records count from. Pure. Processor time and rates are left 0.
SelfTest CompareWithTruth(const std::vector<RequestRecord>& records, TimePoint start,
                          const std::unordered_map<std::string, NullTruth>& truth,
                          const std::function<std::string(std::uint64_t)>& salt_of);

// A few lines for people.
std::string Describe(const SelfTest& test);

}  // namespace penstock::bench
