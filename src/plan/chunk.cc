#include "plan/chunk.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "plan/built_in_tables.h"
#include "plan/table_reader.h"

namespace penstock::plan {
namespace {

constexpr double kSecondsPerMinute = 60;

Result<ChunkModel> ReadModel(const TableRow& row) {
  ChunkModel model;
  auto name = row.Text("name");
  if (!name) return Fail(name.error());
  model.name = *std::move(name);
  auto chunk = row.PositiveNumber("chunk_tokens_per_s");
  if (!chunk) return Fail(chunk.error());
  model.chunk_tokens_per_s = *chunk;
  auto ratio = row.PositiveNumber("output_ratio");
  if (!ratio) return Fail(ratio.error());
  model.weights.output = *ratio;
  return model;
}

// Normalised tokens of averages, which need not be whole.
double CostOf(double input, double cached, double output, const policy::CostWeights& weights) {
  return input - cached + weights.cached * cached + weights.output * output;
}

}  // namespace

Result<ChunkModel> ChunkTable::Find(std::string_view name) const {
  const ChunkModel* found = FindByName(models, name);
  if (found == nullptr) return Fail(NoSuchModel(models, name, "the chunk table of " + date));
  return *found;
}

Result<ChunkTable> ParseChunkTable(const std::string& yaml) {
  return ParseTable<ChunkTable>(yaml, ReadModel);
}

const ChunkTable& BuiltInChunkTable() {
  static const ChunkTable table = ParseChunkTable(kDatabricksChunkTable).value();
  return table;
}

ChunkEstimate EstimateChunks(const TokensPerMinute& tokens, const ChunkModel& model) {
  ChunkEstimate estimate;
  estimate.cost_per_s =
      CostOf(tokens.input, tokens.cached, tokens.output, model.weights) / kSecondsPerMinute;
  estimate.raw_tokens_per_s = estimate.cost_per_s / policy::ContractCostPerSecond(1, model.weights);
  // A hair above a whole chunk is what floating point makes of exactly that chunk.
  const double exact = estimate.raw_tokens_per_s / model.chunk_tokens_per_s;
  estimate.chunks = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(exact - 1e-9)));
  estimate.tokens_per_s = static_cast<std::int64_t>(
      std::llround(static_cast<double>(estimate.chunks) * model.chunk_tokens_per_s));
  return estimate;
}

double RequestsPerMinute(double tokens_per_s, const Workload& shape,
                         const policy::CostWeights& weights) {
  const double cost = CostOf(shape.input_tokens, shape.input_tokens * shape.cache_rate,
                             shape.output_tokens, weights);
  CHECK(cost > 0, "a shape that costs nothing");
  return policy::ContractCostPerSecond(tokens_per_s, weights) * kSecondsPerMinute / cost;
}

}  // namespace penstock::plan
