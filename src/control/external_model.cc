#include "control/external_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "control/json_reader.h"
#include "convert/ml_model.h"
#include "http/url.h"

namespace penstock::control {
namespace {

// All that Databricks names.
constexpr std::array<std::string_view, 9> kProviders = {"ai21labs",
                                                        "anthropic",
                                                        "amazon-bedrock",
                                                        "cohere",
                                                        "databricks-model-serving",
                                                        "google-cloud-vertex-ai",
                                                        "openai",
                                                        "palm",
                                                        "custom"};

void ReadOpenAi(JsonReader& reader, ExternalModel& model) {
  model.url = reader.String("openai_api_base").value_or("https://api.openai.com/v1");
  model.api_key = reader.String("openai_api_key_plaintext").value_or("");
  reader.RefuseUnsupported("openai_api_type");
  reader.RefuseUnsupported("openai_deployment_name");
}

void ReadDatabricks(JsonReader& reader, ExternalModel& model) {
  model.url = reader.RequiredString("databricks_workspace_url") + "/serving-endpoints";
  model.api_key = reader.String("databricks_api_token_plaintext").value_or("");
}

void ReadCustom(JsonReader& reader, ExternalModel& model, std::optional<Error>& failure) {
  model.url = reader.RequiredString("custom_provider_url");
  if (const auto* bearer = reader.Object("bearer_token_auth")) {
    JsonReader inner(*bearer, reader.PathOf("bearer_token_auth") + ".", failure);
    model.api_key = inner.String("token_plaintext").value_or("");
  }
  reader.RefuseUnsupported("api_key_auth");
}

// Without what is secret.
boost::json::object WithoutKeys(const boost::json::object& json) {
  boost::json::object shown;
  for (const auto& member : json) {
    const std::string_view key = member.key();
    if (key.find("plaintext") != std::string_view::npos) continue;
    const auto* inner = member.value().if_object();
    if (inner != nullptr) {
      shown[key] = WithoutKeys(*inner);
    } else {
      shown[key] = member.value();
    }
  }
  return shown;
}

}  // namespace

Result<ExternalModel> CheckExternalModel(const boost::json::object& json, const std::string& path) {
  std::optional<Error> failure;
  JsonReader reader(json, path + ".", failure);
  ExternalModel model{.name = reader.RequiredString("name"),
                      .provider = reader.RequiredString("provider"),
                      .task = reader.RequiredString("task")};
  if (failure) return Fail(std::move(*failure));
  if (!convert::IsServedTask(model.task)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} must be llm/v1/chat, llm/v1/completions or llm/v1/embeddings, got "
                            "\"{}\"",
                            reader.PathOf("task"), model.task.substr(0, 80)),
                reader.PathOf("task"));
  }
  if (!(std::ranges::find(kProviders, model.provider) != kProviders.end())) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} is not a provider: \"{}\"", reader.PathOf("provider"),
                            model.provider.substr(0, 80)),
                reader.PathOf("provider"));
  }
  std::string key = model.provider == "databricks-model-serving" ? "databricks_model_serving_config"
                    : model.provider == "custom"                 ? "custom_provider_config"
                                                                 : "openai_config";
  if (model.provider != "openai" && key == "openai_config") {
    return Fail(Code::kUnsupported,
                fmt::format("{}: {} has an API of its own; openai, databricks-model-serving and "
                            "custom (any OpenAI-compatible URL) can be called",
                            reader.PathOf("provider"), model.provider),
                reader.PathOf("provider"));
  }
  static const boost::json::object kNone;
  const auto* config = reader.Object(key);
  JsonReader inner(config == nullptr ? kNone : *config, reader.PathOf(key) + ".", failure);
  if (model.provider == "openai") ReadOpenAi(inner, model);
  if (model.provider == "databricks-model-serving") ReadDatabricks(inner, model);
  if (model.provider == "custom") ReadCustom(inner, model, failure);
  if (failure) return Fail(std::move(*failure));
  if (auto url = http::Url::Parse(model.url); !url) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: {}", reader.PathOf(key), url.error().message), reader.PathOf(key));
  }
  model.json = WithoutKeys(json);
  return model;
}

}  // namespace penstock::control
