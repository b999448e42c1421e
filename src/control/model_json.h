// ModelJson: registered models and versions as Unity Catalog and as MLflow's registry write them.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "control/catalog.h"
#include "store/records.h"

namespace penstock::control {

using Aliases = std::vector<store::ModelAliasRecord>;

// RegisteredModelInfo. Ours: tags, default_system_prompt.
boost::json::object ModelJson(const store::ModelRecord& model, const Aliases& aliases);
// ModelVersionInfo. Ours: task, model_type, licence, context_length, size_bytes, fingerprint,
// format, tags, status_message. `source` is what was registered, `storage_location` what is served.
boost::json::object VersionJson(const store::ModelVersionRecord& version, const Aliases& aliases);

// MLflow's RegisteredModel; `latest`: its newest version, or null.
boost::json::object MlflowModelJson(const store::ModelRecord& model, const Aliases& aliases,
                                    const store::ModelVersionRecord* latest);
// MLflow's ModelVersion.
boost::json::object MlflowVersionJson(const store::ModelVersionRecord& version,
                                      const Aliases& aliases);

}  // namespace penstock::control
