// Scenario file: what `penstock simulate` simulates, as YAML: a fleet, its tenants, their traffic.
//
//   ttft_target_s: 2                       # What attainment counts.
//   fleet:
//     step: {fixed_ms: 10, prefill_us: 90, decode_us: 900, context_us: 0.2}
//     cost_per_s: 5000                     # K of one replica, normalised tokens/s.
//     output_weight: 4                     # Input tokens that an output token costs.
//     concurrency: 16                      # In flight on one replica.
//     replicas: [2, 6]                     # Least and most; the autoscaler moves between.
//     start_s: 90
//     failures: [{at_s: 600, replicas: 1}]
//   tenants:
//     - name: chat
//       range: [1000, 2000]                # Guarantee and ceiling, tokens/s at 2048 + 256.
//       overload: queue                    # Or reject.
//       traffic: {trace: FILE, speed: 2, from_s: 0, span_s: 600}
//     - name: flood
//       traffic: {requests_per_minute: 900, input_tokens: 800, output_tokens: 100, span_s: 600,
//                 burstiness: 4, seed: 7}
#pragma once

#include <string>

#include "base/result.h"
#include "plan/simulation.h"

namespace penstock::plan {

// Reads `path` and the traces that it names, which lie relative to it. Errors name the file and the
// field.
Result<Scenario> LoadScenario(const std::string& path);

// The same of text; `folder` is where relative traces lie.
Result<Scenario> ParseScenario(const std::string& yaml, const std::string& folder);

// Sets one figure of a scenario: "replicas=2-6", "concurrency=8", "start_s=30",
// "prefill_budget=256", "policy=fifo". For sweeps. Errors: kInvalidArgument naming the words.
Status Vary(const std::string& name, const std::string& value, Scenario& scenario);

}  // namespace penstock::plan
