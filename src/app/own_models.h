// OwnModels: the calibrated models of a running server, as what hardware of one's own offers.
#pragma once

#include <string>
#include <vector>

#include "app/remote.h"
#include "base/result.h"
#include "plan/sizing.h"

namespace penstock::app {

struct OwnModels {
  std::vector<plan::OwnModel> models{};
  std::vector<std::string> sources{};  // For people: where each comes from, and what has none.
};

// `names`: "catalog.schema.model", of its newest version, or "catalog.schema.model/VERSION"; or
// "all": the newest version of each model. Those of "all" that were never calibrated are told of
// in `sources`; one that was named is an error. Blocks. Errors: as CallForJson; kNotFound.
Result<OwnModels> ReadOwnModels(const RemoteOptions& remote, const std::vector<std::string>& names);

}  // namespace penstock::app
