#include "plan/ptu.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "plan/built_in_tables.h"
#include "plan/table_reader.h"

namespace penstock::plan {
namespace {

Result<std::optional<PtuSteps>> ReadSteps(const TableRow& row, const char* field) {
  if (!row.Has(field)) return std::nullopt;
  auto pair = row.IntegerPair(field);
  if (!pair) return Fail(pair.error());
  return PtuSteps{.minimum = pair->first, .increment = pair->second};
}

Result<PtuModel> ReadModel(const TableRow& row) {
  PtuModel model;
  auto name = row.Text("name");
  if (!name) return Fail(name.error());
  model.name = *std::move(name);
  auto capacity = row.PositiveNumber("input_tpm_per_ptu");
  if (!capacity) return Fail(capacity.error());
  model.input_tpm_per_ptu = *capacity;
  if (row.Has("output_ratio")) {
    auto ratio = row.PositiveNumber("output_ratio");
    if (!ratio) return Fail(ratio.error());
    model.output_ratio = *ratio;
  }
  if (row.Has("quota_unit")) {
    auto unit = row.IntegerPair("quota_unit");
    if (!unit) return Fail(unit.error());
    model.quota_unit = {.tokens_per_minute = static_cast<double>(unit->first),
                        .requests_per_minute = static_cast<double>(unit->second)};
  }
  auto rounding = row.OneOf("rounding", {"up", "nearest"});
  if (!rounding) return Fail(rounding.error());
  model.rounding = *rounding == "nearest" ? Rounding::kNearest : Rounding::kUp;
  if (row.Has("tokens_per_s")) {
    auto target = row.PositiveNumber("tokens_per_s");
    if (!target) return Fail(target.error());
    model.latency_target_tokens_per_s = *target;
  }
  auto global = ReadSteps(row, "global");
  if (!global) return Fail(global.error());
  auto regional = ReadSteps(row, "regional");
  if (!regional) return Fail(regional.error());
  model.global = *global;
  model.regional = *regional;
  if (!model.global && !model.regional) {
    return Fail(Code::kInvalidArgument,
                row.where() + ": neither 'global' nor 'regional' is given, so it cannot be bought",
                "global");
  }
  return model;
}

}  // namespace

Result<PtuModel> PtuTable::Find(std::string_view name) const {
  const PtuModel* found = FindByName(models, name);
  if (found == nullptr) return Fail(NoSuchModel(models, name, "the PTU table of " + date));
  if (found->output_ratio == 0) {
    return Fail(Code::kUnsupported,
                fmt::format("what an output token of {} counts for is not published ({}); give a "
                            "table with its output_ratio",
                            found->name, date),
                "output_ratio");
  }
  return *found;
}

Result<PtuTable> ParsePtuTable(const std::string& yaml) {
  return ParseTable<PtuTable>(yaml, ReadModel);
}

const PtuTable& BuiltInPtuTable() {
  static const PtuTable table = ParsePtuTable(kAzurePtuTable).value();
  return table;
}

PtuModel PtuModelOf(std::string name, const policy::ReplicaCapacity& capacity) {
  const double cost_per_s = policy::ContractCostPerSecond(
      static_cast<double>(capacity.chunk_tokens_per_s), capacity.weights);
  return {.name = std::move(name),
          .input_tpm_per_ptu = 60 * cost_per_s,
          .output_ratio = capacity.weights.output,
          .global = PtuSteps{},
          .regional = PtuSteps{}};
}

PtuEstimate EstimatePtus(const TokensPerMinute& tokens, const PtuModel& model,
                         const PtuSteps& steps) {
  PtuEstimate estimate{.tokens = tokens};
  estimate.normalized_tpm = tokens.input - tokens.cached + model.output_ratio * tokens.output;
  estimate.raw = estimate.normalized_tpm / model.input_tpm_per_ptu;
  const double exact = estimate.raw / static_cast<double>(steps.increment);
  // A hair above a whole step is what floating point makes of exactly that step.
  const double count =
      model.rounding == Rounding::kUp ? std::ceil(exact - 1e-9) : std::round(exact);
  estimate.units = std::max(steps.minimum, static_cast<std::int64_t>(count) * steps.increment);
  return estimate;
}

}  // namespace penstock::plan
