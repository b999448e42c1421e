#include "control/http_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "api/error_body.h"
#include "control/mlflow_service.h"
#include "control/model_routes.h"
#include "http/url.h"

namespace penstock::control {
namespace {

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
  if (const auto path = MlflowPath(request.path)) {
    if (auto good = CheckRole(request, ApiRole::kAny); !good) return Fail(good.error());
    return MlflowService(parts.models.catalog(), parts.models)
        .Handle(request.method, *path, request.query, request.body, request.caller, moment);
  }
  std::vector<std::string_view> segments;
  std::string allowed;
  // Models first: one of their paths stands where an endpoint's name would.
  for (const std::span<const ApiRoute> routes : {ModelRoutes(), EndpointRoutes()}) {
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
