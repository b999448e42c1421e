#include "policy/endpoint_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace penstock::policy {
namespace {

template <typename T>
using Words = std::span<const std::pair<T, std::string_view>>;

constexpr std::array<std::pair<Overload, std::string_view>, 2> kOverloads{
    {{Overload::kQueue, "queue"}, {Overload::kReject, "reject"}}};
constexpr std::array<std::pair<Isolation, std::string_view>, 2> kIsolations{
    {{Isolation::kDedicated, "dedicated"}, {Isolation::kShared, "shared"}}};
constexpr std::array<std::pair<LimitKey, std::string_view>, 4> kLimitKeys{
    {{LimitKey::kEndpoint, "endpoint"},
     {LimitKey::kUser, "user"},
     {LimitKey::kUserGroup, "user_group"},
     {LimitKey::kServicePrincipal, "service_principal"}}};

template <typename T>
std::string_view WordOf(Words<T> words, T value) {
  const auto found = std::ranges::find(words, value, &std::pair<T, std::string_view>::first);
  return found == words.end() ? "" : found->second;
}

template <typename T>
Result<T> Parse(Words<T> words, std::string_view word, const std::string& field) {
  std::string known;
  for (const auto& [value, text] : words) {
    if (text == word) return value;
    known += fmt::format("{}'{}'", known.empty() ? "" : ", ", text);
  }
  return Fail(Code::kInvalidArgument,
              fmt::format("{} must be one of {}, got '{}'", field, known, word), field);
}

}  // namespace

std::string_view ToString(Overload overload) { return WordOf<Overload>(kOverloads, overload); }
Result<Overload> ParseOverload(std::string_view word, const std::string& field) {
  return Parse<Overload>(kOverloads, word, field);
}

std::string_view ToString(Isolation isolation) { return WordOf<Isolation>(kIsolations, isolation); }
Result<Isolation> ParseIsolation(std::string_view word, const std::string& field) {
  return Parse<Isolation>(kIsolations, word, field);
}

std::string_view ToString(LimitKey key) { return WordOf<LimitKey>(kLimitKeys, key); }
Result<LimitKey> ParseLimitKey(std::string_view word, const std::string& field) {
  return Parse<LimitKey>(kLimitKeys, word, field);
}

std::optional<PermissionLevel> RightOf(const EndpointPolicy& policy, std::string_view key,
                                       std::span<const std::string> groups) {
  if (policy.access.empty()) return PermissionLevel::kQuery;
  std::optional<PermissionLevel> most;
  for (const Access& access : policy.access) {
    const bool is_meant = access.is_group
                              ? std::ranges::find(groups, access.principal) != groups.end()
                              : access.principal == key;
    if (is_meant) most = std::max(most, std::optional(access.level));
  }
  return most;
}

LanePolicy LaneForRange(const ThroughputRange& range,
                        const std::optional<ReplicaCapacity>& capacity) {
  LanePolicy lane;
  lane.weight = std::max<double>(1, static_cast<double>(range.minimum));
  if (!capacity) return lane;
  lane.weights = capacity->weights;
  lane.guarantee_per_s =
      ContractCostPerSecond(static_cast<double>(range.minimum), capacity->weights);
  lane.cap_per_s = ContractCostPerSecond(static_cast<double>(range.maximum), capacity->weights);
  return lane;
}

}  // namespace penstock::policy
