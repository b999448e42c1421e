#include "app/reports.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "api/error_body.h"
#include "http/url.h"
#include "meter/azure_metrics.h"
#include "meter/databricks_metrics.h"
#include "meter/time_text.h"
#include "meter/usage_report.h"

namespace penstock::app {

namespace {

using gateway::ControlAnswer;
using gateway::ControlRequest;

constexpr std::string_view kUsagePath = "/api/2.0/usage";
constexpr std::size_t kRecordsDefault = 100;
constexpr std::size_t kRecordsMax = 100'000;

std::string ParameterOf(const ControlRequest& request, std::string_view name) {
  return http::QueryValue(request.query, name).value_or("");
}

std::optional<std::string> OptionalOf(const ControlRequest& request, std::string_view name) {
  std::string value = ParameterOf(request, name);
  if (value.empty()) return {};
  return value;
}

Result<std::uint64_t> NumberOf(const ControlRequest& request, std::string_view name,
                               std::uint64_t otherwise, std::uint64_t maximum) {
  const std::string text = ParameterOf(request, name);
  if (text.empty()) return otherwise;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value <= maximum) return value;
  return Fail(Code::kInvalidArgument,
              fmt::format("{}: '{}' is no number from 0 to {}", name, text.substr(0, 40), maximum),
              std::string(name));
}

// The segment between `prefix` and `suffix`; "" where the path is not of that form.
std::string Between(std::string_view path, std::string_view prefix, std::string_view suffix) {
  if (path.size() <= prefix.size() + suffix.size() || !path.starts_with(prefix) ||
      !path.ends_with(suffix)) {
    return {};
  }
  path = path.substr(prefix.size(), path.size() - prefix.size() - suffix.size());
  if (path.find('/') != std::string_view::npos) return {};
  return http::PercentDecode(path).value_or("");
}

}  // namespace

ControlAnswer Reports::Handle(const ControlRequest& request) {
  auto answer = Dispatch(request);
  if (answer) return std::move(*answer);
  // Azure's callers read {"error": {"code", "message"}}.
  const bool azure = request.path.find("/subscriptions/") < 2;
  return {.status = Traits(answer.error().code).http_status,
          .body = ErrorBody(azure ? Dialect::kOpenAi : Dialect::kDatabricks, answer.error())};
}

Reports::Answer Reports::Dispatch(const ControlRequest& request) {
  if (request.method != "GET") {
    return Fail(Code::kMethodNotAllowed, fmt::format("{} does not take {}, only GET",
                                                     request.path.substr(0, 200), request.method));
  }
  const std::string_view path = request.path;
  if (path == "/metrics") return ControlAnswer{.status = 200, .body = metrics_.Expose()};
  if (path == kUsagePath) return Usage(request);
  if (path == "/api/2.0/usage/records") return Records(request);
  if (path == "/api/2.0/usage/minutes") return Minutes(request);
  if (path == "/api/2.0/usage/check") return Check(request);
  const std::string endpoint = Between(path, "/api/2.0/serving-endpoints/", "/metrics");
  if (!endpoint.empty()) return Databricks(endpoint);
  if (path.ends_with("/metrics")) return Azure(request, false);
  if (path.ends_with("/metricDefinitions")) return Azure(request, true);
  return Fail(Code::kNotFound, fmt::format("no such path: {}", path.substr(0, 200)));
}

Result<meter::UsageFilter> Reports::FilterOf(const ControlRequest& request) const {
  const WallTime now = wall_now_();
  const std::string from_text = ParameterOf(request, "from");
  const std::string until_text = ParameterOf(request, "until");
  const auto from = meter::ParseTime(from_text.empty() ? "24h" : from_text, now, "from");
  if (!from) return Fail(from.error());
  const auto until = meter::ParseTime(until_text.empty() ? "now" : until_text, now, "until");
  if (!until) return Fail(until.error());
  const auto status = NumberOf(request, "status", 0, 999);
  if (!status) return Fail(status.error());
  meter::UsageFilter filter{.from = *from, .until = *until};
  filter.endpoint = OptionalOf(request, "endpoint");
  filter.requester = OptionalOf(request, "key");
  filter.model = OptionalOf(request, "model");
  if (*status != 0) filter.status = static_cast<std::uint16_t>(*status);
  if (request.admin) return filter;
  if (filter.requester && *filter.requester != request.caller) {
    return Fail(
        Code::kForbidden,
        fmt::format("key: \"{}\" sees its own usage only; an admin key sees all", request.caller),
        "key");
  }
  filter.requester = request.caller;
  return filter;
}

Reports::Answer Reports::Usage(const ControlRequest& request) {
  const auto filter = FilterOf(request);
  if (!filter) return Fail(filter.error());
  const std::string words = ParameterOf(request, "group_by");
  const auto groups = meter::ParseGroups(words.empty() ? "endpoint" : words);
  if (!groups) return Fail(groups.error());
  const auto summary = meter::SummariseUsage(service_.ledger().folder(), *filter, *groups);
  if (!summary) return Fail(summary.error());
  return ControlAnswer{.status = 200, .body = meter::ToJson(*summary, *groups, *filter)};
}

Reports::Answer Reports::Records(const ControlRequest& request) {
  const auto filter = FilterOf(request);
  if (!filter) return Fail(filter.error());
  const auto limit = NumberOf(request, "limit", kRecordsDefault, kRecordsMax);
  if (!limit) return Fail(limit.error());
  auto body = meter::RecordsToJson(service_.ledger().folder(), *filter, *limit);
  if (!body) return Fail(body.error());
  return ControlAnswer{.status = 200, .body = std::move(*body)};
}

Reports::Answer Reports::Minutes(const ControlRequest& request) {
  const auto filter = FilterOf(request);
  if (!filter) return Fail(filter.error());
  const meter::Series::Range range{.from = meter::MinuteOf(filter->from),
                                   .until = meter::MinuteOf(filter->until) + 1};
  auto body = meter::MinutesToJson(
      filter->endpoint, range, [&](meter::Series::Range wanted, const meter::Series::Visit& visit) {
        return service_.ReadMinutes(filter->endpoint, wanted, meter::Columns::All(), visit);
      });
  if (!body) return Fail(body.error());
  return ControlAnswer{.status = 200, .body = std::move(*body)};
}

Reports::Answer Reports::Check(const ControlRequest& request) {
  auto filter = FilterOf(request);
  if (!filter) return Fail(filter.error());
  // The present minute is still being counted.
  const meter::Minute last = meter::MinuteOf(std::min(filter->until, wall_now_()));
  const auto check = meter::CheckSeries(
      service_.ledger().folder(), {.from = meter::MinuteOf(filter->from), .until = last},
      [&](meter::Series::Range wanted, const meter::Series::Visit& visit) {
        return service_.ReadMinutes(std::nullopt, wanted, meter::Columns::All(), visit);
      });
  if (!check) return Fail(check.error());
  return ControlAnswer{.status = 200, .body = meter::ToJson(*check)};
}

Reports::Answer Reports::Databricks(const std::string& endpoint) {
  if (!metrics_.Has(endpoint)) {
    return Fail(Code::kNotFound, fmt::format("endpoint '{}' does not exist", endpoint));
  }
  const meter::Minute minute = meter::MinuteOf(wall_now_()) - 1;
  meter::EndpointMinute content;
  const Status read =
      service_.ReadMinutes(endpoint, {.from = minute, .until = minute + 1}, meter::Columns::All(),
                           [&content](const std::string&, meter::Minute,
                                      const meter::EndpointMinute& part) { content.Merge(part); });
  if (!read) return Fail(read.error());
  const auto predictions = predictions_.Of(endpoint, minute, wall_now_());
  if (!predictions) return Fail(predictions.error());
  const meter::HostUse host = host_.Read(Clock::now());
  return ControlAnswer{
      .status = 200,
      .body = meter::DatabricksMetrics(endpoint, minute, content, *predictions, host),
      .content_type = "text/plain; version=0.0.4; charset=utf-8"};
}

Reports::Answer Reports::Azure(const ControlRequest& request, bool definitions) {
  constexpr std::string_view kProvider = "/providers/microsoft.insights/";
  std::string lower = request.path;
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::size_t resource_size = lower.rfind(kProvider);
  if (resource_size == std::string::npos) {
    return Fail(Code::kNotFound, fmt::format("no such path: {}", request.path.substr(0, 200)));
  }
  std::string resource = request.path.substr(0, resource_size);
  if (resource.starts_with("//")) resource.erase(0, 1);
  if (definitions) {
    return ControlAnswer{.status = 200, .body = meter::AzureMetricDefinitions(resource)};
  }
  const meter::AzureParameters parameters{.resource = resource,
                                          .metric_names = ParameterOf(request, "metricnames"),
                                          .aggregation = ParameterOf(request, "aggregation"),
                                          .interval = ParameterOf(request, "interval"),
                                          .timespan = ParameterOf(request, "timespan"),
                                          .filter = ParameterOf(request, "$filter")};
  const auto query = meter::ParseAzureQuery(parameters, wall_now_());
  if (!query) return Fail(query.error());
  // One endpoint's minutes are read alone.
  std::optional<std::string> endpoint;
  if (const auto found = query->filter.find("ModelDeploymentName");
      found != query->filter.end() && !found->second.split && found->second.wanted.size() == 1) {
    endpoint = found->second.wanted[0];
  }
  auto body = meter::AnswerAzureQuery(
      parameters, *query,
      [&](meter::Series::Range range, meter::Columns columns, const meter::Series::Visit& visit) {
        return service_.ReadMinutes(endpoint, range, columns, visit);
      });
  if (!body) return Fail(body.error());
  return ControlAnswer{.status = 200, .body = std::move(*body)};
}

}  // namespace penstock::app
