// Names: what endpoints, served entities and models may be called.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::control {

inline constexpr std::size_t kEndpointNameSizeMax = 63;
inline constexpr std::size_t kDeploymentNameSizeMax = 64;
inline constexpr std::size_t kModelNamePartSizeMax = 255;

// 1 to 63 letters, digits, '-' and '_', and not a word that the REST paths use themselves ("pt",
// "get-model-optimization-info"). `field` is named in the error.
Status CheckEndpointName(std::string_view name, const std::string& field);

// What Azure lets deployments be called: dots too ("gpt-4.1"), but neither first nor last.
Status CheckDeploymentName(std::string_view name, const std::string& field);

// What a served entity may be called: 1 to 510 letters, digits, '-', '_' and '.', as its usual name
// is made of them. It stands in paths, in the head of answers and in tables.
Status CheckServedEntityName(std::string_view name, const std::string& field);

// 1 to 255 letters, digits, '-', '_' and '.', not a number: "3" and "v3" would be told apart by
// nobody. `field` is named in the error.
Status CheckAliasName(std::string_view name, const std::string& field);

// "catalog.schema.model".
struct ModelName {
  std::string catalog;
  std::string schema;
  std::string model;
};

// Three parts of 1 to 255 letters, digits, '-' and '_', joined by dots.
Result<ModelName> ParseModelName(std::string_view full_name, const std::string& field);

}  // namespace penstock::control
