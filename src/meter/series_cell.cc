#include "meter/series_cell.h"

#include <algorithm>
#include <array>
#include <utility>

namespace penstock::meter {
namespace {

constexpr std::uint64_t kStreamFlag = 1;
constexpr std::uint64_t kSpilledFlag = 2;
constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kCellsMax = 65536;  // Of a minute that is read: statuses, and a few models.

// Sketches stand behind their size, so that they can be passed over.
void Write(ByteWriter& out, const Distribution& distribution, Sketches sketches) {
  Encode(distribution.stat, out);
  if (distribution.stat.samples == 0) return;
  std::string bytes;
  ByteWriter writer(bytes);
  if (sketches == Sketches::kWith) Encode(distribution.sketch, writer);
  out.Text(bytes);
}

void Read(ByteReader& in, Distribution& distribution, Sketches sketches) {
  DecodeInto(in, distribution.stat);
  distribution.sketch.Clear();
  if (distribution.stat.samples == 0) return;
  ByteReader bytes(in.Text());
  if (sketches == Sketches::kWith && !bytes.AtEnd()) DecodeInto(bytes, distribution.sketch);
}

void Write(ByteWriter& out, const EndpointMinute::Entry& entry, Sketches sketches) {
  const auto& [key, cell] = entry;
  Encode(key, out);
  for (const std::uint64_t value :
       {cell.requests, cell.disconnected, cell.failed, cell.cost_milli, cell.reserved_milli}) {
    out.Integer(value);
  }
  for (const GaugeStat* const stat :
       {&cell.input, &cell.cached, &cell.output, &cell.total, &cell.ttft_per_token_ns}) {
    Encode(*stat, out);
  }
  for (const Distribution* const distribution :
       {&cell.ttft_us, &cell.tpot_us, &cell.duration_us, &cell.queue_us}) {
    Write(out, *distribution, sketches);
  }
}

bool Read(ByteReader& in, EndpointMinute::Entry& entry, Sketches sketches) {
  auto& [key, cell] = entry;
  const bool good = DecodeInto(in, key);
  for (std::uint64_t* const value :
       {&cell.requests, &cell.disconnected, &cell.failed, &cell.cost_milli, &cell.reserved_milli}) {
    *value = in.Integer();
  }
  for (GaugeStat* const stat :
       {&cell.input, &cell.cached, &cell.output, &cell.total, &cell.ttft_per_token_ns}) {
    DecodeInto(in, *stat);
  }
  for (Distribution* const distribution :
       {&cell.ttft_us, &cell.tpot_us, &cell.duration_us, &cell.queue_us}) {
    Read(in, *distribution, sketches);
  }
  return good && !in.bad();
}

std::array<GaugeStat*, 6> StatsOf(GaugeCell& cell) {
  return {&cell.replicas_ready, &cell.replicas_total,    &cell.queued,
          &cell.running,        &cell.utilisation_milli, &cell.provisioned_milli};
}

}  // namespace

Minute MinuteOf(WallTime time) {
  return std::chrono::floor<std::chrono::minutes>(time.time_since_epoch()).count();
}
WallTime TimeOf(Minute minute) { return WallTime(std::chrono::minutes(minute)); }

void SeriesCell::Add(const UsageRecord& record) {
  ++requests;
  disconnected += record.end == RequestEnd::kDisconnected;
  failed += record.end == RequestEnd::kServerError;
  cost_milli += record.cost_milli;
  reserved_milli += record.reserved_milli;
  duration_us.Add(record.duration_us);
  queue_us.Add(record.queue_wait_us);
  if (record.source != UsageSource::kNone) {
    input.Add(record.input_tokens);
    cached.Add(record.cached_tokens);
    output.Add(record.output_tokens);
    total.Add(record.input_tokens + record.output_tokens);
  }
  if (record.ttft_us) {
    ttft_us.Add(*record.ttft_us);
    if (record.input_tokens != 0)
      ttft_per_token_ns.Add(*record.ttft_us * 1000 / record.input_tokens);
  }
  if (record.tpot_ns) tpot_us.Add((*record.tpot_ns + 500) / 1000);
}

void SeriesCell::Merge(const SeriesCell& other) {
  requests += other.requests;
  disconnected += other.disconnected;
  failed += other.failed;
  cost_milli += other.cost_milli;
  reserved_milli += other.reserved_milli;
  input.Merge(other.input);
  cached.Merge(other.cached);
  output.Merge(other.output);
  total.Merge(other.total);
  ttft_per_token_ns.Merge(other.ttft_per_token_ns);
  ttft_us.Merge(other.ttft_us);
  tpot_us.Merge(other.tpot_us);
  duration_us.Merge(other.duration_us);
  queue_us.Merge(other.queue_us);
}

void GaugeCell::Merge(const GaugeCell& other) {
  replicas_ready.Merge(other.replicas_ready);
  replicas_total.Merge(other.replicas_total);
  queued.Merge(other.queued);
  running.Merge(other.running);
  utilisation_milli.Merge(other.utilisation_milli);
  provisioned_milli.Merge(other.provisioned_milli);
}

SeriesCell& EndpointMinute::CellOf(const SeriesKey& key) {
  const auto at = std::ranges::lower_bound(cells, key, {}, &Entry::key);
  if (at != cells.end() && at->key == key) return at->cell;
  return cells.insert(at, {key, {}})->cell;
}

void EndpointMinute::Merge(const EndpointMinute& other) {
  gauges.Merge(other.gauges);
  for (const Entry& entry : other.cells) CellOf(entry.key).Merge(entry.cell);
}

void Encode(const SeriesKey& key, ByteWriter& out) {
  out.Text(key.model);
  out.Signed(key.model_version);
  out.Integer(static_cast<std::uint64_t>(key.operation));
  out.Integer((key.stream ? kStreamFlag : 0) | (key.spilled ? kSpilledFlag : 0));
  out.Integer(key.status);
}

bool DecodeInto(ByteReader& in, SeriesKey& key) {
  key.model = in.Text();
  key.model_version = in.Signed();
  const std::uint64_t operation = in.Integer();
  const std::uint64_t flags = in.Integer();
  const std::uint64_t status = in.Integer();
  key.operation = static_cast<Operation>(operation);
  key.stream = (flags & kStreamFlag) != 0;
  key.spilled = (flags & kSpilledFlag) != 0;
  key.status = static_cast<std::uint16_t>(status);
  return !in.bad() && operation <= static_cast<std::uint64_t>(Operation::kEmbeddings) &&
         status <= 0xFFFF;
}

void Encode(const GaugeStat& stat, ByteWriter& out) {
  out.Integer(stat.samples);
  if (stat.samples == 0) return;
  out.Integer(stat.minimum);
  out.Integer(stat.maximum - stat.minimum);
  // All samples equal is the usual case: no requests queued, the same number of replicas.
  if (stat.maximum != stat.minimum) out.Integer(stat.sum - stat.samples * stat.minimum);
}

void DecodeInto(ByteReader& in, GaugeStat& stat) {
  stat = {.samples = in.Integer()};
  if (stat.samples == 0) return;
  stat.minimum = in.Integer();
  stat.maximum = stat.minimum + in.Integer();
  stat.sum = stat.samples * stat.minimum;
  if (stat.maximum != stat.minimum) stat.sum += in.Integer();
}

void Encode(const GaugeCell& cell, ByteWriter& out) {
  GaugeCell gauges = cell;
  bool any = false;
  for (const GaugeStat* const stat : StatsOf(gauges)) any = any || stat->samples != 0;
  out.Integer(any ? 1 : 0);
  if (!any) return;
  for (const GaugeStat* const stat : StatsOf(gauges)) Encode(*stat, out);
}

void DecodeInto(ByteReader& in, GaugeCell& gauges) {
  gauges = {};
  if (in.Integer() == 0) return;
  for (GaugeStat* const stat : StatsOf(gauges)) DecodeInto(in, *stat);
}

void Encode(const QuantileSketch& sketch, ByteWriter& out) {
  out.Integer(sketch.zeros());
  const std::vector<std::uint64_t>& counts = sketch.counts();
  std::size_t next = 0;  // The bucket after the last one written.
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    // A bucket right behind the last, with a small count, takes one byte: most do.
    const std::size_t gap = sketch.first_bucket() + i - next;
    out.Integer(counts[i] << 1 | (gap != 0));
    if (gap != 0) out.Integer(gap);
    next = sketch.first_bucket() + i + 1;
  }
}

void DecodeInto(ByteReader& in, QuantileSketch& sketch) {
  sketch.AddZeros(in.Integer());
  std::uint64_t bucket = 0;
  while (!in.AtEnd() && !in.bad()) {
    const std::uint64_t count = in.Integer();
    if ((count & 1) != 0) bucket += in.Integer();
    if (bucket > QuantileSketch::kBucketMax) return;
    sketch.AddToBucket(static_cast<std::size_t>(bucket), count >> 1);
    ++bucket;
  }
}

void Encode(const EndpointMinute& minute, Sketches sketches, std::string& text) {
  ByteWriter out(text);
  out.Integer(kVersion);
  Encode(minute.gauges, out);
  out.Integer(minute.cells.size());
  for (const EndpointMinute::Entry& entry : minute.cells) Write(out, entry, sketches);
}

Status Decode(std::string_view bytes, Sketches sketches, EndpointMinute& minute) {
  ByteReader in(bytes);
  bool good = in.Integer() == kVersion;
  DecodeInto(in, minute.gauges);
  const std::uint64_t cells = in.Integer();
  good = good && cells <= std::min<std::uint64_t>(kCellsMax, bytes.size()) && !in.bad();
  if (good) minute.cells.resize(static_cast<std::size_t>(cells));
  for (std::size_t i = 0; good && i < minute.cells.size(); ++i) {
    good = Read(in, minute.cells[i], sketches);
  }
  if (good && in.AtEnd()) return {};
  return Fail(Code::kCorrupt, "a minute of the series is damaged");
}

}  // namespace penstock::meter
