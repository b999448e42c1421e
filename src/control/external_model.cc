#include "control/external_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "control/json_reader.h"
#include "control/secret_files.h"
#include "convert/ml_model.h"
#include "http/characters.h"
#include "http/url.h"

namespace penstock::control {
namespace {

constexpr const char* kSpoken = "openai, databricks-model-serving and custom";

// Those that Databricks names beside them.
constexpr std::array<std::string_view, 6> kOthers = {
    "ai21labs", "anthropic", "amazon-bedrock", "cohere", "google-cloud-vertex-ai", "palm"};

Error Bad(const std::string& field, const std::string& why) {
  return {Code::kInvalidArgument, fmt::format("{} {}", field, why), field};
}

// Puts what may be shown into `shown`: nothing that was not looked at, for it may be a key in a
// wrong place.
void Show(const JsonReader& reader, std::initializer_list<const char*> fields,
          boost::json::object& shown) {
  for (const char* field : fields) {
    const auto* value = reader.Raw(field);
    if (value != nullptr && value->is_string()) shown[field] = *value;
  }
}

// A key in clear, or the name of a file with one. Neither is quoted where it is wrong.
void ReadKey(JsonReader& reader, const std::string& reference_field, const std::string& clear_field,
             ExternalModel& model) {
  const auto text = [&reader](const std::string& key) {
    const auto* value = reader.Raw(key);
    if (value != nullptr && !value->is_string()) {
      reader.Refuse(Bad(reader.PathOf(key), "must be a string"));
    }
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  };
  model.api_key = text(clear_field);
  const std::string reference = text(reference_field);
  if (!model.api_key.empty()) {
    if (auto good = CheckSecret(model.api_key, reader.PathOf(clear_field)); !good) {
      reader.Refuse(std::move(good.error()));
    }
  }
  if (reference.empty()) return;
  auto parsed = ParseSecretReference(reference, reader.PathOf(reference_field));
  if (!parsed) {
    reader.Refuse(std::move(parsed.error()));
    return;
  }
  if (!model.api_key.empty()) {
    reader.Refuse(Bad(reader.PathOf(clear_field),
                      "does not belong beside " + reader.PathOf(reference_field)));
  }
  model.key_reference = std::move(*parsed);
}

std::string WithoutSlash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

// A deployment of Azure's: its API is OpenAI's under another path, with the key in another field.
void ReadAzure(JsonReader& reader, ExternalModel& model) {
  const std::string base = reader.RequiredString("openai_api_base");
  const std::string deployment = reader.RequiredString("openai_deployment_name");
  const std::string version = reader.RequiredString("openai_api_version");
  model.call.url = fmt::format("{}/openai/deployments/{}?api-version={}", WithoutSlash(base),
                               http::PercentEncode(deployment), http::PercentEncode(version));
  model.call.key_header = "api-key";
}

void ReadOpenAi(JsonReader& reader, ExternalModel& model, boost::json::object& shown) {
  Show(reader,
       {"openai_api_base", "openai_api_key", "openai_api_type", "openai_api_version",
        "openai_deployment_name", "openai_organization"},
       shown);
  const std::string type = reader.String("openai_api_type").value_or("");
  ReadKey(reader, "openai_api_key", "openai_api_key_plaintext", model);
  for (const char* field :
       {"microsoft_entra_client_id", "microsoft_entra_tenant_id", "microsoft_entra_client_secret",
        "microsoft_entra_client_secret_plaintext"}) {
    reader.RefuseUnsupported(field);
  }
  model.call.organization = reader.String("openai_organization").value_or("");
  if (http::HoldsControl(model.call.organization)) {
    reader.Refuse(Bad(reader.PathOf("openai_organization"), "must be one line of text"));
  }
  if (type == "azure") {
    ReadAzure(reader, model);
    return;
  }
  if (type == "azuread") {
    reader.Refuse({Code::kUnsupported,
                   fmt::format("{}: azuread takes its tokens from Entra ID; use azure, with a key",
                               reader.PathOf("openai_api_type")),
                   reader.PathOf("openai_api_type")});
    return;
  }
  if (!type.empty() && type != "openai") {
    reader.Refuse("openai_api_type", "openai or azure", boost::json::value(type));
  }
  for (const char* field : {"openai_deployment_name", "openai_api_version"}) {
    if (!reader.String(field).value_or("").empty()) {
      reader.Refuse(Bad(reader.PathOf(field), "belongs to openai_api_type azure"));
    }
  }
  model.call.url = reader.String("openai_api_base").value_or("https://api.openai.com/v1");
}

void ReadDatabricks(JsonReader& reader, ExternalModel& model, boost::json::object& shown) {
  Show(reader, {"databricks_workspace_url", "databricks_api_token"}, shown);
  model.call.url =
      WithoutSlash(reader.RequiredString("databricks_workspace_url")) + "/serving-endpoints";
  ReadKey(reader, "databricks_api_token", "databricks_api_token_plaintext", model);
}

// A header that HTTP itself, or the relay, has another use for cannot carry a key.
void CheckKeyHeader(JsonReader& reader, const std::string& name) {
  constexpr std::array<std::string_view, 8> kTaken = {
      "host",       "content-length",    "content-type", "content-encoding",
      "connection", "transfer-encoding", "expect",       "x-request-id"};
  std::string lower = name;
  std::ranges::transform(lower, lower.begin(), http::ToLower);
  constexpr std::size_t kHeaderMax = 100;
  const bool good = !name.empty() && name.size() <= kHeaderMax &&
                    std::ranges::all_of(name, http::IsToken) &&
                    std::ranges::find(kTaken, lower) == kTaken.end();
  if (!good) reader.Refuse(Bad(reader.PathOf("key"), "must be the name of a header for keys"));
}

void ReadCustom(JsonReader& reader, ExternalModel& model, boost::json::object& shown,
                std::optional<Error>& failure) {
  Show(reader, {"custom_provider_url"}, shown);
  model.call.url = reader.RequiredString("custom_provider_url");
  const auto* bearer = reader.Object("bearer_token_auth");
  const auto* header = reader.Object("api_key_auth");
  if (bearer != nullptr && header != nullptr) {
    reader.Refuse(Bad(reader.PathOf("api_key_auth"), "does not belong beside bearer_token_auth"));
    return;
  }
  if (bearer != nullptr) {
    JsonReader inner(*bearer, reader.PathOf("bearer_token_auth") + ".", failure);
    ReadKey(inner, "token", "token_plaintext", model);
    Show(inner, {"token"}, shown["bearer_token_auth"].emplace_object());
  }
  if (header != nullptr) {
    JsonReader inner(*header, reader.PathOf("api_key_auth") + ".", failure);
    model.call.key_header = inner.RequiredString("key");
    if (!inner.failed()) CheckKeyHeader(inner, model.call.key_header);
    ReadKey(inner, "value", "value_plaintext", model);
    Show(inner, {"key", "value"}, shown["api_key_auth"].emplace_object());
  }
}

Status CheckUrl(const std::string& url, const std::string& field) {
  if (url.substr(0, url.find_first_of("/?", url.find("://") + 3)).find('@') != std::string::npos) {
    return Fail(Bad(field, "must hold a URL without user name and password"));
  }
  const auto parsed = http::Url::Parse(url);
  if (!parsed) return Fail(Bad(field, "must hold a URL: " + parsed.error().message));
  return {};
}

Status CheckHead(const ExternalModel& model, const JsonReader& reader) {
  constexpr std::size_t kNameMax = 256;
  if (model.call.name.size() > kNameMax || http::HoldsControl(model.call.name)) {
    return Fail(
        Bad(reader.PathOf("name"), fmt::format("must be one line of at most {} bytes", kNameMax)));
  }
  if (!convert::IsServedTask(model.task)) {
    return Fail(Bad(reader.PathOf("task"),
                    fmt::format("must be llm/v1/chat, llm/v1/completions or llm/v1/embeddings, got "
                                "\"{}\"",
                                model.task.substr(0, 80))));
  }
  const std::string field = reader.PathOf("provider");
  if (std::ranges::find(kOthers, model.provider) != kOthers.end()) {
    return Fail(Code::kUnsupported,
                fmt::format("{}: {} has an API of its own; what speaks OpenAI's can be called: {}",
                            field, model.provider, kSpoken),
                field);
  }
  for (const char* known : {"openai", "databricks-model-serving", "custom"}) {
    if (model.provider == known) return {};
  }
  return Fail(Bad(
      field, fmt::format("must be one of {}, got \"{}\"", kSpoken, model.provider.substr(0, 80))));
}

}  // namespace

Result<ExternalModel> CheckExternalModel(const boost::json::object& json, const std::string& path) {
  std::optional<Error> failure;
  JsonReader reader(json, path + ".", failure);
  ExternalModel model;
  model.call.name = reader.RequiredString("name");
  model.provider = reader.RequiredString("provider");
  model.task = reader.RequiredString("task");
  if (failure) return Fail(std::move(*failure));
  if (auto good = CheckHead(model, reader); !good) return Fail(good.error());
  const std::string key = model.provider == "databricks-model-serving"
                              ? "databricks_model_serving_config"
                          : model.provider == "custom" ? "custom_provider_config"
                                                       : "openai_config";
  static const boost::json::object kNone;
  const auto* config = reader.Object(key);
  JsonReader inner(config == nullptr ? kNone : *config, reader.PathOf(key) + ".", failure);
  boost::json::object shown;
  if (model.provider == "openai") ReadOpenAi(inner, model, shown);
  if (model.provider == "databricks-model-serving") ReadDatabricks(inner, model, shown);
  if (model.provider == "custom") ReadCustom(inner, model, shown, failure);
  if (failure) return Fail(std::move(*failure));
  if (auto good = CheckUrl(model.call.url, reader.PathOf(key)); !good) return Fail(good.error());
  model.json = {{"name", model.call.name}, {"provider", model.provider}, {"task", model.task}};
  if (config != nullptr) model.json[key] = std::move(shown);
  return model;
}

}  // namespace penstock::control
