// A scenario's traffic: what a tenant sends, from a trace, the ledger, or a description.
#pragma once

#include <string>

#include "plan/scenario_fields.h"
#include "plan/simulation.h"

namespace penstock::plan {

// Fills the tenant's arrivals. What is wrong is told to `fields`.
void ReadTraffic(Fields fields, const std::string& folder, SimTenant& tenant);

}  // namespace penstock::plan
