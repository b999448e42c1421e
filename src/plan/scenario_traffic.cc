#include "plan/scenario_traffic.h"

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/distributions.h"
#include "base/random.h"
#include "plan/ledger_trace.h"
#include "trace/files.h"

namespace penstock::plan {
namespace {

std::string PathOf(const std::string& file, const std::string& folder) {
  const std::filesystem::path path(file);
  return path.is_absolute() ? file : (std::filesystem::path(folder) / path).string();
}

// Beginnings that prompts share: each with `share` one of `count` of `tokens` tokens.
class Prefixes {
 public:
  explicit Prefixes(Fields fields) {
    fields.Only({"share", "tokens", "count"});
    fields.Number("share", 0, 1, share_);
    fields.Number("tokens", 1, 1e6, tokens_);
    fields.Number("count", 1, 1e6, count_);
  }

  int block_tokens() const { return share_ > 0 ? kBlockTokens : 0; }
  std::vector<std::int64_t> Draw(Random& random) const {
    std::vector<std::int64_t> blocks;
    if (share_ <= 0 || random.Uniform() >= share_) return blocks;
    const auto which = static_cast<std::int64_t>(random.Below(static_cast<std::uint64_t>(count_)));
    blocks.assign(static_cast<std::size_t>(tokens_) / kBlockTokens, which);
    return blocks;
  }

 private:
  static constexpr int kBlockTokens = 64;
  double share_ = 0;
  double tokens_ = 1024;
  double count_ = 1;
};

void FromTrace(Fields& fields, const std::string& folder, SimTenant& tenant) {
  const std::string path = PathOf(fields.Text("trace", ""), folder);
  trace::ReadOptions options;
  auto columns = trace::ColumnNames::Parse(fields.Text("columns", ""));
  if (!columns) return fields.Bad(columns.error());
  options.columns = *columns;
  double from_s = 0;
  double span_s = 0;
  double speed = 1;
  fields.Number("from_s", 0, 1e9, from_s);
  fields.Number("span_s", 0, 1e9, span_s);
  fields.Number("speed", 0.001, 1e6, speed);
  options.draw.from_s = static_cast<std::int64_t>(from_s);
  if (span_s > 0) options.draw.span_s = static_cast<std::int64_t>(span_s);
  auto read = trace::ReadTrace(path, options);
  if (!read) {
    fields.Bad(read.error());
    return;
  }
  if (read->format != "servegen") {
    trace::Apply({.from_ns = static_cast<std::int64_t>(from_s * kNanosecondsPerSecond),
                  .span_ns = static_cast<std::int64_t>(span_s * kNanosecondsPerSecond)},
                 *read);
  }
  if (speed != 1) trace::SpeedUp(speed, *read);
  tenant.block_tokens = read->block_tokens;
  tenant.arrivals.reserve(read->arrivals.size());
  for (trace::Arrival& arrival : read->arrivals) {
    tenant.arrivals.push_back({.at_s = static_cast<double>(arrival.at_ns) / kNanosecondsPerSecond,
                               .input_tokens = arrival.input_tokens,
                               .output_tokens = arrival.output_tokens,
                               .blocks = std::move(arrival.blocks)});
  }
}

void FromLedger(Fields& fields, const std::string& folder, SimTenant& tenant) {
  LedgerOptions options{.endpoint = fields.Text("endpoint", tenant.name)};
  fields.Number("speed", 0.001, 1e6, options.speed);
  auto read = ReadLedgerTrace(PathOf(fields.Text("ledger", ""), folder), options);
  if (!read) return fields.Bad(read.error());
  tenant.arrivals = *std::move(read);
}

void FromShape(Fields& fields, SimTenant& tenant) {
  double per_minute = 0;
  double input = 2048;
  double output = 256;
  double span_s = 600;
  double burstiness = 1;
  double seed = 1;
  fields.Number("requests_per_minute", 0.001, 1e9, per_minute);
  fields.Number("input_tokens", 0, 1e7, input);
  fields.Number("output_tokens", 1, 1e7, output);
  fields.Number("span_s", 1, 1e8, span_s);
  fields.Number("burstiness", 0.01, 1000, burstiness);
  fields.Number("seed", 0, 1e15, seed);
  if (per_minute <= 0) fields.Bad("requests_per_minute", "is missing; or name a trace, or users");
  if (per_minute <= 0 || per_minute / 60 * span_s > static_cast<double>(trace::kArrivalsMax)) {
    if (per_minute > 0) fields.Bad("span_s", "makes more requests than can be held");
    return;
  }
  Prefixes prefixes(fields.Inner("prefix"));
  tenant.block_tokens = prefixes.block_tokens();
  // Gamma gaps whose squared coefficient of variation is the burstiness; 1 is a Poisson process.
  Random random(static_cast<std::uint64_t>(seed));
  const double shape = 1 / burstiness;
  const double scale = 60 / per_minute / shape;
  for (double at = DrawGamma(random, shape) * scale; at < span_s;
       at += DrawGamma(random, shape) * scale) {
    tenant.arrivals.push_back({.at_s = at,
                               .input_tokens = static_cast<int>(input),
                               .output_tokens = static_cast<int>(output),
                               .blocks = prefixes.Draw(random)});
  }
}

// Requests of one shape, as many as the users send in all.
void FromUsers(Fields& fields, SimTenant& tenant) {
  double input = 2048;
  double output = 256;
  double requests = 1000;
  double seed = 1;
  fields.Number("input_tokens", 0, 1e7, input);
  fields.Number("output_tokens", 1, 1e7, output);
  fields.Number("requests", 1, static_cast<double>(trace::kArrivalsMax), requests);
  fields.Number("seed", 0, 1e15, seed);
  Prefixes prefixes(fields.Inner("prefix"));
  tenant.block_tokens = prefixes.block_tokens();
  Random random(static_cast<std::uint64_t>(seed));
  for (int i = 0; i < static_cast<int>(requests); ++i) {
    tenant.arrivals.push_back({.input_tokens = static_cast<int>(input),
                               .output_tokens = static_cast<int>(output),
                               .blocks = prefixes.Draw(random)});
  }
}

// A closed loop?
void ReadUsers(Fields& fields, SimTenant& tenant) {
  double users = 0;
  fields.Number("users", 1, 1e6, users);
  fields.Number("think_s", 0, 1e6, tenant.think_s);
  tenant.users = static_cast<int>(users);
  if (fields.Has("users")) {
    if (fields.Has("requests_per_minute")) {
      fields.Bad("requests_per_minute", "and users exclude each other");
    }
    return;
  }
  if (fields.Has("think_s")) fields.Bad("think_s", "needs users, who pause");
  if (fields.Has("requests")) fields.Bad("requests", "needs users, who send them");
}

}  // namespace

void ReadTraffic(Fields fields, const std::string& folder, SimTenant& tenant) {
  fields.Only({"trace", "columns", "ledger", "endpoint", "speed", "from_s", "span_s", "delay_s",
               "requests_per_minute", "input_tokens", "output_tokens", "burstiness", "prefix",
               "seed", "users", "think_s", "requests"});
  ReadUsers(fields, tenant);
  if (fields.Has("trace")) {
    FromTrace(fields, folder, tenant);
  } else if (fields.Has("ledger")) {
    FromLedger(fields, folder, tenant);
  } else if (tenant.users > 0) {
    FromUsers(fields, tenant);
  } else {
    FromShape(fields, tenant);
  }
  double delay_s = 0;
  fields.Number("delay_s", 0, 1e9, delay_s);
  for (SimArrival& arrival : tenant.arrivals) arrival.at_s += delay_s;
}

}  // namespace penstock::plan
