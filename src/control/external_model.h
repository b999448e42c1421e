// ExternalModel: a model that another server runs, as Databricks' external_model describes it.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "base/result.h"

namespace penstock::control {

struct ExternalModel {
  std::string name{};          // At the provider: sent as "model".
  std::string provider{};      // "openai", "custom", "databricks-model-serving"
  std::string task{};          // "llm/v1/chat", ...
  std::string url{};           // Base URL of an OpenAI-compatible API.
  std::string api_key{};       // Sent as a bearer token; "" for none. Not in `json`.
  boost::json::object json{};  // What may be shown: the description without keys.
};

// Checks name, provider, task and the provider's configuration. Errors name the field under
// `path`: kInvalidArgument; kUnsupported for a provider whose API is not OpenAI's.
Result<ExternalModel> CheckExternalModel(const boost::json::object& json, const std::string& path);

}  // namespace penstock::control
