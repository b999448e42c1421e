// ExternalModel: a model that another server runs, as Databricks' external_model describes it.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "base/result.h"

namespace penstock::control {

// How a relay calls it. Nothing of this is secret.
struct ExternalCall {
  std::string url{};           // Base URL of an OpenAI-compatible API; may have a query.
  std::string name{};          // At the provider: sent as "model".
  std::string key_header{};    // That carries the key; "": authorization, as a bearer token.
  std::string organization{};  // Sent as openai-organization; "" not.
  std::string key_path{};      // The key's file; "" none.
};

struct ExternalModel {
  std::string provider{};       // "openai", "custom", "databricks-model-serving"
  std::string task{};           // "llm/v1/chat", ...
  ExternalCall call{};          // Without its key_path.
  std::string api_key{};        // As it came, in clear; "" none. Not in `json`, nor in a message.
  std::string key_reference{};  // "SCOPE/KEY" of {{secrets/SCOPE/KEY}}; "" none.
  boost::json::object json{};   // What may be shown: the fields that are known, but for keys.
};

// Checks name, provider, task and the provider's configuration. Errors name the field under
// `path`, and never quote what may be a key: kInvalidArgument; kUnsupported for a provider whose
// API is not OpenAI's.
Result<ExternalModel> CheckExternalModel(const boost::json::object& json, const std::string& path);

}  // namespace penstock::control
