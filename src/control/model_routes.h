// ModelRoutes: the REST paths of models, from method and path to a call.
//
//   /api/2.1/unity-catalog/models…                                    registered models
//   /api/2.0/mlflow/…                                                 the same, as MLflow calls it
//   /api/2.0/serving-endpoints/get-model-optimization-info/NAME/VERSION
//   /api/2.0/penstock/models/NAME/versions/VERSION/calibration        GET, POST
//   /api/2.0/penstock/jobs                                            GET
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "control/api_call.h"

namespace penstock::control {

std::span<const ApiRoute> ModelRoutes();

// What stands behind "/api/2.0/mlflow/" in `path`; nullopt for other paths.
std::optional<std::string_view> MlflowPath(std::string_view path);

}  // namespace penstock::control
