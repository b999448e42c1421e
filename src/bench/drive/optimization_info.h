// Optimization info: what a Databricks-style control plane says about selling a model's throughput.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "http/origin.h"

namespace penstock::bench {

struct OptimizationInfo {
  bool optimizable = false;
  std::string model_type{};
  int throughput_chunk_size = 0;  // Tokens/s of input and output; 0: not told.
};

// Parses an answer of get-model-optimization-info. Errors: kUpstream saying what it is not.
Result<OptimizationInfo> ParseOptimizationInfo(std::string_view body);

// "NAME/VERSION" -> "/api/2.0/serving-endpoints/get-model-optimization-info/NAME/VERSION". Errors:
// kInvalidArgument, field "optimization-info".
Result<std::string> OptimizationInfoTarget(std::string_view model_version);

// Asks the server at `origin`; blocks. Errors: those of the two above and of the transport.
Result<OptimizationInfo> FetchOptimizationInfo(const http::Origin& origin, std::string_view api_key,
                                               std::string_view model_version, Duration timeout);

}  // namespace penstock::bench
