// Static policies: contracts for static endpoints, from one JSON file.
//
//   {"pools": {"gpu": {"replica_cost_per_s": 30000, "replica_concurrency": 32,
//                      "queue_max": 1024, "queue_wait_max_ms": 60000}},
//    "endpoints": {"chat": {"pool": "gpu", "guarantee_cost_per_s": 13000, "cap_cost_per_s": 26000,
//                           "output_weight": 5, "overload": "reject", "spillover": "cheap",
//                           "rate_limits": [{"key": "user", "calls": 100}],
//                           "quota": {"tokens_per_minute": 60000, "requests_per_minute": 360}}}}
//
// Every field is optional. docs/contract.md tells what each means.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/routing_table.h"

namespace penstock::app {

// Puts the policies of the document `text` into the routes that it names. Errors: kInvalidArgument
// with the field's path; an endpoint or pool that does not exist is one. Changes nothing then.
Status ApplyStaticPolicies(std::string_view text, std::vector<policy::EndpointRoute>& routes);

}  // namespace penstock::app
