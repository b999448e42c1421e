#include "control/http_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "api/error_body.h"
#include "http/url.h"

namespace penstock::control {
namespace {

Result<std::int64_t> VersionIn(const std::string& text) {
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error == std::errc() && end == text.data() + text.size() && version >= 1) return version;
  return Fail(
      Code::kInvalidArgument,
      fmt::format("version must be an integer of 1 or more, got \"{}\"", text.substr(0, 80)),
      "version");
}

template <auto Method>
ApiResult WithVersion(const ApiCall& call) {
  const auto version = VersionIn(call.parameters[1]);
  if (!version) return Fail(version.error());
  return (call.parts.models.*Method)(call.parameters[0], *version);
}

constexpr std::array kModelRoutes = {
    ApiRoute{"GET", "/api/2.0/serving-endpoints/get-model-optimization-info/*/*",
             WithVersion<&ModelService::OptimizationInfo>},
    ApiRoute{"GET", "/api/2.1/unity-catalog/models",
             [](const ApiCall& call) { return call.parts.models.List(); }},
    ApiRoute{"POST", "/api/2.1/unity-catalog/models",
             [](const ApiCall& call) {
               return call.parts.models.Create(call.request.body, call.request.caller, call.moment);
             }},
    ApiRoute{"GET", "/api/2.1/unity-catalog/models/*",
             [](const ApiCall& call) { return call.parts.models.Get(call.parameters[0]); }},
    ApiRoute{"DELETE", "/api/2.1/unity-catalog/models/*",
             [](const ApiCall& call) {
               return EmptyAnswer(call.parts.models.Delete(call.parameters[0]));
             }},
    ApiRoute{
        "GET", "/api/2.1/unity-catalog/models/*/versions",
        [](const ApiCall& call) { return call.parts.models.ListVersions(call.parameters[0]); }},
    ApiRoute{"POST", "/api/2.1/unity-catalog/models/*/versions",
             [](const ApiCall& call) {
               return call.parts.models.CreateVersion(call.parameters[0], call.request.body,
                                                      call.request.caller, call.moment);
             }},
    ApiRoute{"GET", "/api/2.1/unity-catalog/models/*/versions/*",
             WithVersion<&ModelService::GetVersion>},
    ApiRoute{"DELETE", "/api/2.1/unity-catalog/models/*/versions/*",
             [](const ApiCall& call) -> ApiResult {
               const auto version = VersionIn(call.parameters[1]);
               if (!version) return Fail(version.error());
               return EmptyAnswer(call.parts.models.DeleteVersion(call.parameters[0], *version));
             }},
};

// The next segment of `path`, which starts with '/'; takes it off.
std::string_view TakeSegment(std::string_view& path) {
  path.remove_prefix(1);
  const std::string_view segment = path.substr(0, path.find('/'));
  path.remove_prefix(segment.size());
  return segment;
}

// Whether `path` fits `pattern`; if so, what stands for its "*", still encoded.
bool Fits(std::string_view path, std::string_view pattern, std::vector<std::string_view>& found) {
  found.clear();
  while (!path.empty() && !pattern.empty() && path.front() == '/') {
    const std::string_view wanted = TakeSegment(pattern);
    const std::string_view given = TakeSegment(path);
    if (wanted == "*" ? given.empty() : given != wanted) return false;
    if (wanted == "*") found.push_back(given);
  }
  return path.empty() && pattern.empty();
}

Result<std::vector<std::string>> Decode(std::span<const std::string_view> segments) {
  std::vector<std::string> decoded;
  for (const std::string_view segment : segments) {
    auto text = http::PercentDecode(segment);
    if (!text) return Fail(text.error());
    decoded.push_back(std::move(*text));
  }
  return decoded;
}

// Reading is for every key; changing needs an admin's, or a permission on the endpoint.
Status CheckRole(const ApiRequest& request, ApiRole role) {
  const bool needed = role == ApiRole::kAdmin || (role == ApiRole::kAny && request.method != "GET");
  if (!needed || request.caller.role == policy::Role::kAdmin) return {};
  return Fail(Code::kForbidden, fmt::format("{} {} needs an admin key; \"{}\" is a user's",
                                            request.method, request.path, request.caller.name));
}

ApiResult Run(ApiParts& parts, const ApiRequest& request, Moment moment) {
  std::vector<std::string_view> segments;
  std::string allowed;
  // Models first: one of their paths stands where an endpoint's name would.
  for (const std::span<const ApiRoute> routes :
       {std::span<const ApiRoute>(kModelRoutes), EndpointRoutes()}) {
    for (const ApiRoute& route : routes) {
      if (!Fits(request.path, route.pattern, segments)) continue;
      if (route.method != request.method) {
        if (allowed.find(route.method) == std::string::npos) {
          allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", route.method);
        }
        continue;
      }
      if (auto good = CheckRole(request, route.role); !good) return Fail(good.error());
      auto parameters = Decode(segments);
      if (!parameters) return Fail(parameters.error());
      return route.function({.parts = parts,
                             .request = request,
                             .parameters = std::move(*parameters),
                             .moment = moment});
    }
  }
  const std::string path = request.path.substr(0, 200);
  if (allowed.empty()) return Fail(Code::kNotFound, fmt::format("no such path: {}", path));
  return Fail(Code::kMethodNotAllowed,
              fmt::format("{} does not take {}, only {}", path, request.method, allowed));
}

}  // namespace

ApiResult EmptyAnswer(Status status) {
  if (!status) return Fail(std::move(status.error()));
  return boost::json::object();
}

std::string ApiCall::Query(std::string_view name) const {
  std::string_view rest = request.query;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name || equals == std::string_view::npos) continue;
    return http::PercentDecode(pair.substr(equals + 1)).value_or("");
  }
  return {};
}

ApiAnswer HttpApi::Handle(const ApiRequest& request, Moment moment) {
  const auto answer = Run(parts_, request, moment);
  if (answer) return {.status = 200, .body = boost::json::serialize(*answer)};
  return {.status = Traits(answer.error().code).http_status,
          .body = ErrorBody(Dialect::kDatabricks, answer.error())};
}

}  // namespace penstock::control
