#include "meter/azure_table.h"

#include <algorithm>
#include <cctype>

namespace penstock::meter::azure {
namespace {

// As Microsoft's reference of these metrics lists them. Service tiers there are one each of.
constexpr std::string_view kOfRequests =
    "ApiName OperationName Region StreamType ModelDeploymentName ModelName ModelVersion StatusCode "
    "IsSpillover ServiceTierRequest ServiceTierResponse";
constexpr std::string_view kOfAvailability =
    "ApiName OperationName Region StreamType ModelDeploymentName ModelName ModelVersion";
constexpr std::string_view kOfResponses =
    "ApiName OperationName Region StreamType ModelDeploymentName ModelName ModelVersion StatusCode "
    "ServiceTierRequest ServiceTierResponse";
constexpr std::string_view kOfTokens =
    "ApiName ModelDeploymentName FeatureName UsageChannel Region ModelVersion ServiceTierRequest "
    "ServiceTierResponse";
constexpr std::string_view kOfModels =
    "Region ModelDeploymentName ModelName ModelVersion ServiceTierRequest ServiceTierResponse";
constexpr std::string_view kOfCaches = "Region ModelDeploymentName ModelName ModelVersion";
constexpr std::string_view kOfUtilisation =
    "Region StreamType ModelDeploymentName ModelName ModelVersion";

constexpr std::array kMetrics = {
    Metric{"AzureOpenAIRequests", "Azure OpenAI Requests", "Count", Kind::kCount, 1, kOfRequests,
           Column::kRequests,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.requests)};
           }},
    Metric{"AzureOpenAIAvailabilityRate", "Azure OpenAI AvailabilityRate", "Percent", Kind::kRatio,
           100, kOfAvailability, Column::kRequests,
           [](const SeriesCell& c, std::uint16_t status) {
             const auto whole = static_cast<double>(c.requests);
             return Part{.number = status >= 500 ? 0 : whole, .whole = whole};
           }},
    Metric{"ProcessedPromptTokens", "Processed Prompt Tokens", "Count", Kind::kCount, 1, kOfTokens,
           Column::kInput,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.input.sum)};
           }},
    Metric{"GeneratedTokens", "Generated Completion Tokens", "Count", Kind::kCount, 1, kOfTokens,
           Column::kOutput,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.output.sum)};
           }},
    Metric{"TokenTransaction", "Processed Inference Tokens", "Count", Kind::kCount, 1, kOfTokens,
           Column::kTotal,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.total.sum)};
           }},
    Metric{"ActiveTokens", "Active Tokens", "Count", Kind::kCount, 1, kOfModels,
           Column::kTotal | Column::kCached,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.total.sum - c.cached.sum)};
           }},
    Metric{"AzureOpenAIContextTokensCacheMatchRate", "Prompt Token Cache Match Rate", "Percent",
           Kind::kRatio, 100, kOfCaches, Column::kCached | Column::kInput,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.cached.sum),
                         .whole = static_cast<double>(c.input.sum)};
           }},
    Metric{"AzureOpenAIProvisionedManagedUtilizationV2", "Provisioned-managed Utilization V2",
           "Percent", Kind::kGauge, 0.1, kOfUtilisation, Column::kGauges, nullptr},
    Metric{"AzureOpenAIProvisionedManagedUtilization", "Provisioned-managed Utilization", "Percent",
           Kind::kGauge, 0.1, kOfUtilisation, Column::kGauges, nullptr},
    Metric{"AzureOpenAITimeToResponse", "Time to Response", "MilliSeconds", Kind::kStat, 1e-3,
           kOfResponses, Column::kTtft | Column::kDuration,
           [](const SeriesCell& c, std::uint16_t) {
             // Of what is no stream, the first response is the whole.
             return Part{.stat = c.ttft_us.stat.samples != 0 ? c.ttft_us.stat : c.duration_us.stat};
           }},
    Metric{"AzureOpenAINormalizedTTFTInMS", "Normalized Time to First Byte", "MilliSeconds",
           Kind::kStat, 1e-6, kOfModels, Column::kTtftPerToken,
           [](const SeriesCell& c, std::uint16_t) { return Part{.stat = c.ttft_per_token_ns}; }},
    Metric{"AzureOpenAINormalizedTBTInMS", "Time Between Tokens", "MilliSeconds", Kind::kStat, 1e-3,
           kOfModels, Column::kTpot,
           [](const SeriesCell& c, std::uint16_t) { return Part{.stat = c.tpot_us.stat}; }},
    Metric{"AzureOpenAITokenPerSecond", "Tokens Per Second", "Count", Kind::kSpeed, 1e6, kOfModels,
           Column::kTpot,
           [](const SeriesCell& c, std::uint16_t) { return Part{.stat = c.tpot_us.stat}; }},
    Metric{"AzureOpenAITTLTInMS", "Time to Last Byte", "MilliSeconds", Kind::kStat, 1e-3, kOfModels,
           Column::kDuration,
           [](const SeriesCell& c, std::uint16_t) { return Part{.stat = c.duration_us.stat}; }},
};

}  // namespace

std::span<const Metric> Metrics() { return kMetrics; }

std::span<const std::string_view> AggregationsOf(const Metric& metric) {
  static constexpr std::array<std::string_view, 4> kAggregations = {"Total", "Minimum", "Maximum",
                                                                    "Average"};
  const std::span all(kAggregations);
  if (metric.name == "ActiveTokens") return all;
  return metric.kind == Kind::kCount ? all.first(1) : all.subspan(1);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

}  // namespace penstock::meter::azure
