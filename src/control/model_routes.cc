#include "control/model_routes.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

#include "control/model_service.h"
#include "http/url.h"

namespace penstock::control {
namespace {

using Answer = Result<boost::json::object>;

Result<std::int64_t> VersionIn(const std::string& text) {
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error == std::errc() && end == text.data() + text.size() && version >= 1) return version;
  return Fail(
      Code::kInvalidArgument,
      fmt::format("version must be an integer of 1 or more, got \"{}\"", text.substr(0, 80)),
      "version");
}

Result<Page> PageIn(std::string_view query) {
  Page page{.token = http::QueryValue(query, "page_token").value_or("")};
  const auto most = http::QueryValue(query, "max_results");
  if (!most) return page;
  const char* const end = most->data() + most->size();
  const auto [stop, error] = std::from_chars(most->data(), end, page.results_max);
  if (error == std::errc() && stop == end && page.results_max >= 0) return page;
  return Fail(
      Code::kInvalidArgument,
      fmt::format("max_results must be an integer of 0 or more, got \"{}\"", most->substr(0, 80)),
      "max_results");
}

template <auto Method>
Answer WithVersion(const ApiCall& call) {
  const auto version = VersionIn(call.parameters[1]);
  if (!version) return Fail(version.error());
  return (call.parts.models.*Method)(call.parameters[0], *version);
}

template <auto Method>
Answer WithVersionAndBody(const ApiCall& call) {
  const auto version = VersionIn(call.parameters[1]);
  if (!version) return Fail(version.error());
  return (call.parts.models.*Method)(call.parameters[0], *version, call.request.body);
}

constexpr std::array kRoutes = {
    ApiRoute{"GET", "/api/2.0/serving-endpoints/get-model-optimization-info/*/*",
             WithVersion<&ModelService::OptimizationInfo>},
    ApiRoute{"GET", "/api/2.1/unity-catalog/models",
             [](const ApiCall& call) -> Answer {
               const auto page = PageIn(call.request.query);
               if (!page) return Fail(page.error());
               return call.parts.models.List(
                   http::QueryValue(call.request.query, "catalog_name").value_or(""),
                   http::QueryValue(call.request.query, "schema_name").value_or(""), *page);
             }},
    ApiRoute{"POST", "/api/2.1/unity-catalog/models",
             [](const ApiCall& call) {
               return call.parts.models.Create(call.request.body, call.request.caller, call.moment);
             }},
    ApiRoute{"POST", "/api/2.1/unity-catalog/models/versions",
             [](const ApiCall& call) {
               return call.parts.models.CreateVersionByBody(call.request.body, call.request.caller,
                                                            call.moment);
             }},
    ApiRoute{"GET", "/api/2.1/unity-catalog/models/*",
             [](const ApiCall& call) { return call.parts.models.Get(call.parameters[0]); }},
    ApiRoute{"PATCH", "/api/2.1/unity-catalog/models/*",
             [](const ApiCall& call) {
               return call.parts.models.Update(call.parameters[0], call.request.body,
                                               call.request.caller, call.moment);
             }},
    ApiRoute{"DELETE", "/api/2.1/unity-catalog/models/*",
             [](const ApiCall& call) {
               return EmptyAnswer(call.parts.models.Delete(call.parameters[0]));
             }},
    ApiRoute{"GET", "/api/2.1/unity-catalog/models/*/aliases/*",
             [](const ApiCall& call) {
               return call.parts.models.GetVersionByAlias(call.parameters[0], call.parameters[1]);
             }},
    ApiRoute{"PUT", "/api/2.1/unity-catalog/models/*/aliases/*",
             [](const ApiCall& call) {
               return call.parts.models.SetAlias(call.parameters[0], call.parameters[1],
                                                 call.request.body);
             }},
    ApiRoute{"DELETE", "/api/2.1/unity-catalog/models/*/aliases/*",
             [](const ApiCall& call) {
               return EmptyAnswer(
                   call.parts.models.DeleteAlias(call.parameters[0], call.parameters[1]));
             }},
    ApiRoute{"GET", "/api/2.1/unity-catalog/models/*/versions",
             [](const ApiCall& call) -> Answer {
               const auto page = PageIn(call.request.query);
               if (!page) return Fail(page.error());
               return call.parts.models.ListVersions(call.parameters[0], *page);
             }},
    ApiRoute{"POST", "/api/2.1/unity-catalog/models/*/versions",
             [](const ApiCall& call) {
               return call.parts.models.CreateVersion(call.parameters[0], call.request.body,
                                                      call.request.caller, call.moment);
             }},
    ApiRoute{"GET", "/api/2.1/unity-catalog/models/*/versions/*",
             WithVersion<&ModelService::GetVersion>},
    ApiRoute{"PATCH", "/api/2.1/unity-catalog/models/*/versions/*",
             [](const ApiCall& call) -> Answer {
               const auto version = VersionIn(call.parameters[1]);
               if (!version) return Fail(version.error());
               return call.parts.models.UpdateVersion(call.parameters[0], *version,
                                                      call.request.body, call.request.caller,
                                                      call.moment);
             }},
    ApiRoute{"DELETE", "/api/2.1/unity-catalog/models/*/versions/*",
             [](const ApiCall& call) -> Answer {
               const auto version = VersionIn(call.parameters[1]);
               if (!version) return Fail(version.error());
               return EmptyAnswer(call.parts.models.DeleteVersion(call.parameters[0], *version));
             }},
    ApiRoute{"GET", "/api/2.0/penstock/models/*/versions/*/calibration",
             WithVersion<&ModelService::Calibration>},
    ApiRoute{"POST", "/api/2.0/penstock/models/*/versions/*/calibration",
             WithVersionAndBody<&ModelService::Calibrate>},
    ApiRoute{"GET", "/api/2.0/penstock/jobs",
             [](const ApiCall& call) { return call.parts.models.Jobs(); }},
};

}  // namespace

std::span<const ApiRoute> ModelRoutes() { return kRoutes; }

std::optional<std::string_view> MlflowPath(std::string_view path) {
  constexpr std::string_view kPrefix = "/api/2.0/mlflow/";
  if (!path.starts_with(kPrefix)) return std::nullopt;
  return path.substr(kPrefix.size());
}

}  // namespace penstock::control
