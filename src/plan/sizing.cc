#include "plan/sizing.h"

#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "page/numbers.h"

namespace penstock::plan {
namespace {

constexpr std::string_view kDatabricksOffer = "Databricks provisioned throughput";
constexpr std::string_view kOwnOffer = "This hardware";

std::optional<double> Costs(std::optional<double> unit_price, std::int64_t units) {
  if (!unit_price) return std::nullopt;
  return *unit_price * static_cast<double>(units);
}

SizingRow PtuRow(const TokensPerMinute& tokens, const PtuModel& model, const PtuSteps& steps,
                 bool global, const Prices& prices) {
  const PtuEstimate estimate = EstimatePtus(tokens, model, steps);
  const bool minimum = estimate.raw <= static_cast<double>(steps.minimum);
  return {
      .offer = global ? "Azure OpenAI provisioned, global" : "Azure OpenAI provisioned, regional",
      .model = model.name,
      .unit = "PTU",
      .raw = estimate.raw,
      .amount = estimate.units,
      .note = minimum ? fmt::format("the minimum; steps of {}", steps.increment)
                      : fmt::format("steps of {}", steps.increment),
      .cost_per_hour = Costs(global ? prices.ptu_global : prices.ptu_regional, estimate.units)};
}

SizingRow ChunkRow(const TokensPerMinute& tokens, const ChunkModel& model, const Prices& prices) {
  const ChunkEstimate estimate = EstimateChunks(tokens, model);
  return {.offer = std::string(kDatabricksOffer),
          .model = model.name,
          .unit = "tokens/s",
          .raw = estimate.raw_tokens_per_s,
          .amount = estimate.tokens_per_s,
          .note = fmt::format("{} x {:g}", estimate.chunks, model.chunk_tokens_per_s),
          .cost_per_hour = Costs(prices.chunk, estimate.chunks)};
}

SizingRow OwnRow(const TokensPerMinute& tokens, const OwnModel& own, const Prices& prices) {
  const ChunkModel model{.name = own.name,
                         .chunk_tokens_per_s = static_cast<double>(own.capacity.chunk_tokens_per_s),
                         .weights = own.capacity.weights};
  const ChunkEstimate estimate = EstimateChunks(tokens, model);
  const int replicas =
      policy::ReplicasForRange({.minimum = estimate.tokens_per_s, .maximum = estimate.tokens_per_s},
                               own.capacity)
          .minimum;
  return {.offer = std::string(kOwnOffer),
          .model = own.name,
          .unit = "tokens/s",
          .raw = estimate.raw_tokens_per_s,
          .amount = estimate.tokens_per_s,
          .note = fmt::format("{} x {}, {} replica{}", estimate.chunks,
                              own.capacity.chunk_tokens_per_s, replicas, replicas == 1 ? "" : "s"),
          .cost_per_hour = Costs(prices.replica, replicas)};
}

SizingRow QuotaRow(const TokensPerMinute& tokens, const QuotaUnit& unit, double max_tokens) {
  const QuotaEstimate estimate = EstimateQuota(tokens, max_tokens, unit);
  return {.offer = "Azure OpenAI standard (admission only)",
          .model = "any",
          .unit = estimate.units == 1 ? "quota unit" : "quota units",
          .raw = estimate.counted_tpm / unit.tokens_per_minute,
          .amount = estimate.units,
          .note = fmt::format("{} TPM, {} RPM; {} bind", page::Figure(estimate.tokens_per_minute),
                              page::Figure(estimate.requests_per_minute),
                              estimate.bound_by_requests ? "requests" : "tokens")};
}

// Calls `row` with the tokens to size for, given the offer's weights.
template <typename TokensFor>
std::vector<SizingRow> Rows(const Offers& offers, TokensFor tokens_for) {
  std::vector<SizingRow> rows;
  if (offers.azure) {
    const TokensPerMinute tokens = tokens_for({.output = offers.azure->output_ratio});
    if (offers.azure->global) {
      rows.push_back(PtuRow(tokens, *offers.azure, *offers.azure->global, true, offers.prices));
    }
    if (offers.azure->regional) {
      rows.push_back(PtuRow(tokens, *offers.azure, *offers.azure->regional, false, offers.prices));
    }
  }
  if (offers.databricks) {
    rows.push_back(
        ChunkRow(tokens_for(offers.databricks->weights), *offers.databricks, offers.prices));
  }
  for (const OwnModel& own : offers.own) {
    rows.push_back(OwnRow(tokens_for(own.capacity.weights), own, offers.prices));
  }
  if (offers.standard) {
    rows.push_back(
        QuotaRow(tokens_for({.output = 1, .cached = 1}), *offers.standard, offers.max_tokens));
  }
  return rows;
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kPeaks = {
    {{"mean", "mean minute"},
     {"p95", "p95 minute"},
     {"p99", "p99 minute"},
     {"max", "greatest minute"}}};

TokensPerMinute MeanOf(const UsageSummary& usage) {
  const auto per_minute = [&usage](std::int64_t total) {
    return static_cast<double>(total) / static_cast<double>(usage.minutes);
  };
  return {.requests = per_minute(usage.requests),
          .input = per_minute(usage.tokens.input),
          .cached = per_minute(usage.tokens.cached),
          .output = per_minute(usage.tokens.output)};
}

}  // namespace

Sizing SizeFor(const TokensPerMinute& tokens, const Offers& offers) {
  return {.name = "",
          .peak = "as given",
          .tokens = tokens,
          .rows = Rows(offers, [&](const policy::CostWeights&) { return tokens; })};
}

Result<Peak> ParsePeak(std::string_view word) {
  for (std::size_t i = 0; i < kPeaks.size(); ++i) {
    if (kPeaks[i].first == word) return static_cast<Peak>(i);
  }
  return Fail(Code::kInvalidArgument,
              fmt::format("--peak is '{}'; it must be mean, p95, p99 or max", word), "peak");
}

std::string_view Name(Peak peak) { return kPeaks[static_cast<std::size_t>(peak)].second; }

Result<Sizing> SizeFor(const std::string& name, const UsageSeries& series, Peak peak,
                       const Offers& offers) {
  auto usage = series.Summarize();
  if (!usage) return Fail(usage.error());
  const auto at_peak = [&](const policy::CostWeights& weights) {
    if (peak == Peak::kMean) return MeanOf(*usage);
    return series.MinuteAt(peak == Peak::kP95 ? 0.95 : peak == Peak::kP99 ? 0.99 : 1.0, weights);
  };
  return Sizing{.name = name,
                .peak = std::string(Name(peak)),
                .tokens = at_peak({}),
                .rows = Rows(offers, at_peak),
                .usage = *usage};
}

Bought Buys(double tokens_per_s, const Workload& shape, const policy::CostWeights& weights) {
  Bought bought{.requests_per_minute = RequestsPerMinute(tokens_per_s, shape, weights)};
  bought.input_tpm = bought.requests_per_minute * shape.input_tokens;
  bought.output_tpm = bought.requests_per_minute * shape.output_tokens;
  return bought;
}

std::vector<BoughtRow> Buys(double tokens_per_s, const Workload& shape, const Offers& offers) {
  std::vector<BoughtRow> rows;
  if (offers.databricks) {
    rows.push_back({.offer = std::string(kDatabricksOffer),
                    .model = offers.databricks->name,
                    .bought = Buys(tokens_per_s, shape, offers.databricks->weights)});
  }
  for (const OwnModel& own : offers.own) {
    rows.push_back({.offer = std::string(kOwnOffer),
                    .model = own.name,
                    .bought = Buys(tokens_per_s, shape, own.capacity.weights)});
  }
  return rows;
}

}  // namespace penstock::plan
