#include "fleet/kubernetes_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <limits>
#include <utility>

namespace penstock::fleet {
namespace {

namespace json = boost::json;

constexpr std::size_t kMessageShownMax = 300;

const json::value* Find(const json::object& object, std::string_view key) {
  const json::value* found = object.if_contains(key);
  return found == nullptr || found->is_null() ? nullptr : found;
}
const json::object* FindObject(const json::object& object, std::string_view key) {
  const json::value* found = Find(object, key);
  return found == nullptr ? nullptr : found->if_object();
}
const json::array* FindArray(const json::object& object, std::string_view key) {
  const json::value* found = Find(object, key);
  return found == nullptr ? nullptr : found->if_array();
}
std::string TextOf(const json::object& object, std::string_view key) {
  const json::value* found = Find(object, key);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}
std::optional<std::int64_t> NumberOf(const json::object& object, std::string_view key) {
  const json::value* found = Find(object, key);
  const auto* number = found == nullptr ? nullptr : found->if_int64();
  return number == nullptr ? std::nullopt : std::optional(*number);
}
bool IsTrue(const json::object* object, std::string_view key, bool otherwise) {
  const json::value* found = object == nullptr ? nullptr : Find(*object, key);
  return found != nullptr && found->is_bool() ? found->get_bool() : otherwise;
}

Result<json::object> ParseKind(std::string_view text, std::string_view kind) {
  boost::system::error_code failure;
  json::value parsed = json::parse(text, failure);
  if (failure || !parsed.is_object()) {
    return Fail(Code::kUpstream,
                fmt::format("the API server answered no JSON object for {}", kind));
  }
  json::object object = std::move(parsed.get_object());
  if (TextOf(object, "kind") != kind) {
    return Fail(Code::kUpstream, fmt::format("the API server answered kind \"{}\" for {}",
                                             TextOf(object, "kind").substr(0, 60), kind));
  }
  return object;
}

Result<KubernetesScale> ReadScale(const json::object& object, int otherwise) {
  const json::object* metadata = FindObject(object, "metadata");
  const json::object* spec = FindObject(object, "spec");
  KubernetesScale scale{.resource_version = {}, .replicas = otherwise};
  if (metadata != nullptr) scale.resource_version = TextOf(*metadata, "resourceVersion");
  if (scale.resource_version.empty()) {
    return Fail(Code::kUpstream, "the API server's answer has no metadata.resourceVersion");
  }
  if (const json::object* notes = FindObject(*metadata, "annotations")) {
    scale.holder = TextOf(*notes, kHolderAnnotation);
  }
  const auto replicas = spec == nullptr ? std::nullopt : NumberOf(*spec, "replicas");
  if (!replicas) return scale;
  if (*replicas < 0 || *replicas > std::numeric_limits<int>::max()) {
    return Fail(Code::kUpstream, fmt::format("spec.replicas is {}", *replicas));
  }
  scale.replicas = static_cast<int>(*replicas);
  return scale;
}

std::optional<int> PortOf(const json::object& slice, const std::string& name) {
  const json::array* ports = FindArray(slice, "ports");
  if (ports == nullptr) return std::nullopt;
  constexpr std::int64_t kPortMax = 65535;
  for (const json::value& value : *ports) {
    const json::object* port = value.if_object();
    if (port == nullptr || (!name.empty() && TextOf(*port, "name") != name)) continue;
    const auto number = NumberOf(*port, "port");
    if (number && *number > 0 && *number <= kPortMax) return static_cast<int>(*number);
  }
  return std::nullopt;
}

// The first address only: all of an endpoint's addresses are the same pod's.
std::optional<KubernetesPod> ReadEndpoint(const json::object& endpoint, bool ipv6, int port) {
  const json::array* addresses = FindArray(endpoint, "addresses");
  if (addresses == nullptr || addresses->empty() || !addresses->front().is_string()) {
    return std::nullopt;
  }
  const std::string host(addresses->front().get_string());
  const json::object* conditions = FindObject(endpoint, "conditions");
  const json::object* target = FindObject(endpoint, "targetRef");
  KubernetesPod pod{
      .name = {},
      .address = ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port),
      .ready = IsTrue(conditions, "ready", true),
      .terminating = IsTrue(conditions, "terminating", false)};
  if (target != nullptr && TextOf(*target, "kind") == "Pod") pod.name = TextOf(*target, "name");
  if (pod.name.empty()) pod.name = pod.address;
  return pod;
}

void ReadSlice(const json::object& slice, const std::string& port_name,
               std::vector<KubernetesPod>& pods) {
  const std::string type = TextOf(slice, "addressType");
  if (type != "IPv4" && type != "IPv6") return;  // Names are not addresses.
  const auto port = PortOf(slice, port_name);
  const json::array* endpoints = FindArray(slice, "endpoints");
  if (!port || endpoints == nullptr) return;
  std::vector<KubernetesPod> found;
  for (const json::value& value : *endpoints) {
    const json::object* endpoint = value.if_object();
    if (endpoint == nullptr) continue;
    if (auto pod = ReadEndpoint(*endpoint, type == "IPv6", *port)) found.push_back(std::move(*pod));
  }
  MergePods(pods, std::move(found));
}

json::object Metadata(const std::string& resource_version) {
  return {{"resourceVersion", resource_version}};
}

}  // namespace

Result<KubernetesScale> ParseScale(std::string_view text) {
  const auto object = ParseKind(text, "Scale");
  if (!object) return Fail(object.error());
  return ReadScale(*object, 0);
}

Result<KubernetesScale> ParseDeployment(std::string_view text) {
  const auto object = ParseKind(text, "Deployment");
  if (!object) return Fail(object.error());
  return ReadScale(*object, 1);
}

Result<KubernetesSlices> ParseEndpointSlices(std::string_view text, const std::string& port_name) {
  const auto object = ParseKind(text, "EndpointSliceList");
  if (!object) return Fail(object.error());
  KubernetesSlices slices;
  if (const json::object* metadata = FindObject(*object, "metadata")) {
    slices.next_page = TextOf(*metadata, "continue");
  }
  const json::array* items = FindArray(*object, "items");
  if (items == nullptr) return slices;
  for (const json::value& item : *items) {
    if (const json::object* slice = item.if_object()) ReadSlice(*slice, port_name, slices.pods);
  }
  return slices;
}

void MergePods(std::vector<KubernetesPod>& pods, std::vector<KubernetesPod> more) {
  for (KubernetesPod& pod : more) {
    const auto known = std::ranges::find(pods, pod.name, &KubernetesPod::name);
    if (known == pods.end()) {
      pods.push_back(std::move(pod));
    } else if (pod.ready && !known->ready) {
      *known = std::move(pod);
    }
  }
}

std::string ReadStatusMessage(std::string_view text) {
  boost::system::error_code failure;
  const json::value parsed = json::parse(text, failure);
  std::string message;
  if (!failure && parsed.is_object()) message = TextOf(parsed.get_object(), "message");
  if (message.empty()) message = text;
  message.resize(std::min(message.size(), kMessageShownMax));
  return message;
}

std::string ScalePatch(int replicas, const std::string& resource_version) {
  return json::serialize(json::object{{"metadata", Metadata(resource_version)},
                                      {"spec", json::object{{"replicas", replicas}}}});
}

std::string HolderPatch(const std::string& holder, const std::string& resource_version) {
  json::object metadata = Metadata(resource_version);
  json::value value = nullptr;  // Which takes it away.
  if (!holder.empty()) value = holder;
  metadata["annotations"] = json::object{{kHolderAnnotation, value}};
  return json::serialize(json::object{{"metadata", std::move(metadata)}});
}

std::string DeletionCostPatch(int cost) {
  const json::object annotations{
      {"controller.kubernetes.io/pod-deletion-cost", std::to_string(cost)}};
  return json::serialize(json::object{{"metadata", json::object{{"annotations", annotations}}}});
}

}  // namespace penstock::fleet
