// Chunk calculator: the tokens-per-second range that a workload needs of Databricks' provisioned
// throughput or of ours, and the reverse, what a range buys.
//
// A figure in tokens/s means the reference workload, 2048 input and 256 output tokens. Another
// shape gets what the same cost rate buys (policy/capacity.h): X tokens/s are worth
// X·(2048 + w_out·256)/2304 normalised tokens per second. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "plan/workload.h"
#include "policy/capacity.h"

namespace penstock::plan {

struct ChunkModel {
  std::string name;
  double chunk_tokens_per_s = 1;  // More than 0.
  policy::CostWeights weights{};
};

struct ChunkTable {
  std::string source;
  std::string date;
  std::vector<ChunkModel> models;

  Result<ChunkModel> Find(std::string_view name) const;
};

// As ParsePtuTable; src/plan/data/databricks_chunks.yaml shows the form.
Result<ChunkTable> ParseChunkTable(const std::string& yaml);
const ChunkTable& BuiltInChunkTable();

struct ChunkEstimate {
  double cost_per_s = 0;          // Normalised tokens.
  double raw_tokens_per_s = 0;    // At the reference workload, before rounding.
  std::int64_t chunks = 0;        // Rounded up, at least 1.
  std::int64_t tokens_per_s = 0;  // What to provision: chunks, in whole tokens/s.
};

ChunkEstimate EstimateChunks(const TokensPerMinute& tokens, const ChunkModel& model);

// What `tokens_per_s` buys of requests shaped as `shape` (its rate is not looked at).
// REQUIRES: the shape costs something.
double RequestsPerMinute(double tokens_per_s, const Workload& shape,
                         const policy::CostWeights& weights);

}  // namespace penstock::plan
