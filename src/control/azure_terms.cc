#include "control/azure_terms.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "control/json_reader.h"

namespace penstock::control {
namespace {

// Documented: one unit of a Standard deployment.
constexpr std::int64_t kTokensPerUnit = 1000;
constexpr std::int64_t kRequestsPerUnit = 6;

struct Terms {
  policy::Reserve reserve = policy::Reserve::kLimit;
  bool release = false;
  Duration request_window = std::chrono::seconds(10);
};

// Kept for its reader: a version stays until somebody asks for another.
void CheckUpgradeOption(JsonReader& reader) {
  const auto option = reader.String("versionUpgradeOption");
  constexpr std::array<std::string_view, 3> kOptions = {
      "OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"};
  if (option && std::ranges::find(kOptions, *option) == kOptions.end()) {
    reader.Refuse("versionUpgradeOption",
                  "OnceNewDefaultVersionAvailable, OnceCurrentVersionExpired or NoAutoUpgrade",
                  boost::json::value(*option));
  }
}

Terms ReadTerms(const boost::json::object& properties, std::optional<Error>& failure) {
  Terms terms;
  JsonReader reader(properties, "properties.", failure);
  (void)reader.String("spilloverDeploymentName");
  CheckUpgradeOption(reader);
  const boost::json::object* const own = reader.Object("penstock");
  if (own == nullptr) return terms;
  JsonReader inner(*own, "properties.penstock.", failure);
  if (const auto word = inner.String("reserve")) {
    if (*word != "limit" && *word != "learned") {
      inner.Refuse("reserve", "\"limit\" or \"learned\"", boost::json::value(*word));
    }
    if (*word == "learned") terms.reserve = policy::Reserve::kLearned;
  }
  terms.release = inner.Boolean("releaseQuota").value_or(false);
  if (const auto seconds = inner.Integer("requestWindowSeconds")) {
    if (*seconds != 1 && *seconds != 10) {
      inner.Refuse("requestWindowSeconds", "1 or 10", boost::json::value(*seconds));
    }
    terms.request_window = std::chrono::seconds(*seconds);
  }
  return terms;
}

}  // namespace

bool IsStandardSku(std::string_view sku) { return sku.ends_with("Standard"); }

Status CheckAzureProperties(const boost::json::object& properties) {
  std::optional<Error> failure;
  (void)ReadTerms(properties, failure);
  if (failure) return Fail(std::move(*failure));
  return {};
}

boost::json::object PatchAzureProperties(boost::json::object properties,
                                         const boost::json::object& changes) {
  for (const auto& [key, value] : changes) {
    if (value.is_null()) {
      properties.erase(key);
    } else {
      properties[key] = value;
    }
  }
  return properties;
}

void ApplyAzure(const AzureDeployment& azure, policy::LanePolicy& lane) {
  std::optional<Error> failure;  // Of what was checked when it came in: none.
  const auto properties = ParseJsonObject(azure.properties);
  const Terms terms = properties ? ReadTerms(*properties, failure) : Terms{};
  lane.overload = policy::Overload::kReject;
  lane.reserve = terms.reserve;
  if (!IsStandardSku(azure.sku)) {
    lane.accounting = policy::Accounting::kUtilization;
    lane.guarantee_burst = lane.cap_burst;
    return;
  }
  lane.quota = policy::StandardQuota{.tokens_per_minute = azure.capacity * kTokensPerUnit,
                                     .requests_per_minute = azure.capacity * kRequestsPerUnit,
                                     .request_window = terms.request_window,
                                     .release = terms.release};
}

boost::json::object AzureCapabilities(std::string_view task) {
  if (task.ends_with("/embeddings")) return {{"embeddings", "true"}};
  if (task.ends_with("/completions")) return {{"completion", "true"}};
  return {{"chatCompletion", "true"}};
}

}  // namespace penstock::control
