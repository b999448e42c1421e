#include "control/http_api.h"

#include <fmt/format.h>

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

// What a route's function gets.
struct Call {
  EndpointService& endpoints;
  ModelService& models;
  const ApiRequest& request;
  std::vector<std::string> parameters;  // The path's segments that stand for "*", decoded.
  Moment moment;
};
using Answer = Result<boost::json::object>;
using Function = Answer (*)(const Call&);

struct Route {
  std::string_view method;
  std::string_view pattern;  // "*" is any one segment.
  Function function;
};

Answer Empty(Status status) {
  if (!status) return Fail(std::move(status.error()));
  return boost::json::object();
}

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
Answer WithVersion(const Call& call) {
  const auto version = VersionIn(call.parameters[1]);
  if (!version) return Fail(version.error());
  return (call.models.*Method)(call.parameters[0], *version);
}

// More literal patterns stand before less literal ones: the first that fits is taken.
constexpr std::array kRoutes = {
    Route{"GET", "/api/2.0/serving-endpoints",
          [](const Call& call) -> Answer {
            return call.endpoints.List(call.request.caller, call.moment.now);
          }},
    Route{"POST", "/api/2.0/serving-endpoints",
          [](const Call& call) {
            return call.endpoints.Create(call.request.body, call.request.caller, call.moment);
          }},
    Route{"GET", "/api/2.0/serving-endpoints/get-model-optimization-info/*/*",
          WithVersion<&ModelService::OptimizationInfo>},
    Route{"GET", "/api/2.0/serving-endpoints/*",
          [](const Call& call) {
            return call.endpoints.Get(call.parameters[0], call.request.caller, call.moment.now);
          }},
    Route{"DELETE", "/api/2.0/serving-endpoints/*",
          [](const Call& call) {
            return Empty(call.endpoints.Delete(call.parameters[0], call.moment.now));
          }},
    Route{"GET", "/api/2.1/unity-catalog/models",
          [](const Call& call) { return call.models.List(); }},
    Route{"POST", "/api/2.1/unity-catalog/models",
          [](const Call& call) {
            return call.models.Create(call.request.body, call.request.caller, call.moment);
          }},
    Route{"GET", "/api/2.1/unity-catalog/models/*",
          [](const Call& call) { return call.models.Get(call.parameters[0]); }},
    Route{"DELETE", "/api/2.1/unity-catalog/models/*",
          [](const Call& call) { return Empty(call.models.Delete(call.parameters[0])); }},
    Route{"GET", "/api/2.1/unity-catalog/models/*/versions",
          [](const Call& call) { return call.models.ListVersions(call.parameters[0]); }},
    Route{"POST", "/api/2.1/unity-catalog/models/*/versions",
          [](const Call& call) {
            return call.models.CreateVersion(call.parameters[0], call.request.body,
                                             call.request.caller, call.moment);
          }},
    Route{"GET", "/api/2.1/unity-catalog/models/*/versions/*",
          WithVersion<&ModelService::GetVersion>},
    Route{"DELETE", "/api/2.1/unity-catalog/models/*/versions/*",
          [](const Call& call) -> Answer {
            const auto version = VersionIn(call.parameters[1]);
            if (!version) return Fail(version.error());
            return Empty(call.models.DeleteVersion(call.parameters[0], *version));
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

// Reading is for every key; changing needs an admin's.
Status CheckRole(const ApiRequest& request) {
  if (request.method == "GET" || request.caller.role == policy::Role::kAdmin) return {};
  return Fail(Code::kForbidden, fmt::format("{} {} needs an admin key; \"{}\" is a user's",
                                            request.method, request.path, request.caller.name));
}

Answer Run(EndpointService& endpoints, ModelService& models, const ApiRequest& request,
           Moment moment) {
  std::vector<std::string_view> segments;
  std::string allowed;
  for (const Route& route : kRoutes) {
    if (!Fits(request.path, route.pattern, segments)) continue;
    if (route.method != request.method) {
      allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", route.method);
      continue;
    }
    if (auto good = CheckRole(request); !good) return Fail(good.error());
    auto parameters = Decode(segments);
    if (!parameters) return Fail(parameters.error());
    return route.function({.endpoints = endpoints,
                           .models = models,
                           .request = request,
                           .parameters = std::move(*parameters),
                           .moment = moment});
  }
  const std::string path = request.path.substr(0, 200);
  if (allowed.empty()) return Fail(Code::kNotFound, fmt::format("no such path: {}", path));
  return Fail(Code::kMethodNotAllowed,
              fmt::format("{} does not take {}, only {}", path, request.method, allowed));
}

}  // namespace

ApiAnswer HttpApi::Handle(const ApiRequest& request, Moment moment) {
  const auto answer = Run(endpoints_, models_, request, moment);
  if (answer) return {.status = 200, .body = boost::json::serialize(*answer)};
  return {.status = Traits(answer.error().code).http_status,
          .body = ErrorBody(Dialect::kDatabricks, answer.error())};
}

}  // namespace penstock::control
