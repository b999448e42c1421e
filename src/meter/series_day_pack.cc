// A day's minutes to bytes.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "meter/bytes.h"
#include "meter/series_day.h"
#include "meter/series_day_layout.h"

namespace penstock::meter {
namespace {

constexpr Minute kMinutesPerHour = 60;

// Moves the sketches of each hour to the hour's first minute that has values.
void ThinSketches(std::map<Minute, EndpointMinute>& minutes) {
  std::map<std::pair<SeriesKey, std::size_t>, Distribution*> first;  // Of the hour.
  Minute hour = -1;
  for (auto& [minute, content] : minutes) {
    if (minute / kMinutesPerHour != hour) first.clear();
    hour = minute / kMinutesPerHour;
    for (auto& [key, cell] : content.cells) {
      for (std::size_t i = 0; i < kDayDistributions.size(); ++i) {
        Distribution* const distribution = &(cell.*kDayDistributions[i].distribution);
        if (distribution->stat.samples == 0) continue;
        Distribution*& keeper = first[{key, i}];
        if (keeper == nullptr) {
          keeper = distribution;
        } else {
          keeper->sketch.Merge(distribution->sketch);
          distribution->sketch.Clear();
        }
      }
    }
  }
}

void AppendSection(std::uint64_t id, const std::string& plain, std::string& out) {
  uLongf size = compressBound(plain.size());
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
            reinterpret_cast<const Bytef*>(plain.data()), plain.size(), Z_DEFAULT_COMPRESSION);
  packed.resize(size);
  ByteWriter writer(out);
  writer.Integer(id);
  writer.Integer(plain.size());
  writer.Text(packed);
}

// The cells of a day, in order.
template <typename Use>
void ForEachCell(const std::map<Minute, EndpointMinute>& minutes, const Use& use) {
  for (const auto& [minute, content] : minutes) {
    for (const EndpointMinute::Entry& entry : content.cells) use(entry.cell);
  }
}

std::string Index(const std::map<Minute, EndpointMinute>& minutes, Minute day_begins) {
  std::map<SeriesKey, std::uint64_t> numbers;
  for (const auto& [minute, content] : minutes) {
    for (const EndpointMinute::Entry& entry : content.cells) numbers.try_emplace(entry.key, 0);
  }
  std::string text;
  ByteWriter out(text);
  out.Integer(numbers.size());
  std::uint64_t next = 0;
  for (auto& [key, number] : numbers) {
    number = next++;
    Encode(key, out);
  }
  out.Integer(minutes.size());
  Minute last = day_begins;
  for (const auto& [minute, content] : minutes) {
    out.Integer(static_cast<std::uint64_t>(minute - last));
    last = minute;
    out.Integer(content.cells.size());
    for (const EndpointMinute::Entry& entry : content.cells) out.Integer(numbers.at(entry.key));
  }
  return text;
}

std::string SketchesOf(const std::map<Minute, EndpointMinute>& minutes) {
  std::string text;
  ByteWriter out(text);
  std::string bytes;
  ForEachCell(minutes, [&](const SeriesCell& cell) {
    for (const DistributionColumn& column : kDayDistributions) {
      bytes.clear();
      ByteWriter writer(bytes);
      const QuantileSketch& sketch = (cell.*column.distribution).sketch;
      if (!sketch.empty()) Encode(sketch, writer);
      out.Text(bytes);
    }
  });
  return text;
}

}  // namespace

DayBytes PackDay(const std::map<Minute, EndpointMinute>& minutes, Minute day_begins, bool fine) {
  DayBytes day;
  ByteWriter head(day.numbers);
  head.Integer(kDayVersion);
  head.Integer(kDaySections - 1);  // All but the sketches.
  AppendSection(kDayIndexSection, Index(minutes, day_begins), day.numbers);
  std::string plain;
  ByteWriter out(plain);
  const auto finish = [&](Column column) {
    AppendSection(DaySectionOf(column), plain, day.numbers);
    plain.clear();
  };
  ForEachCell(minutes, [&](const SeriesCell& cell) {
    for (std::uint64_t SeriesCell::* const count : kDayCounts) out.Integer(cell.*count);
  });
  finish(Column::kRequests);
  for (const StatColumn& column : kDayStats) {
    ForEachCell(minutes, [&](const SeriesCell& cell) { Encode(cell.*column.stat, out); });
    finish(column.column);
  }
  for (const DistributionColumn& column : kDayDistributions) {
    ForEachCell(minutes,
                [&](const SeriesCell& cell) { Encode((cell.*column.distribution).stat, out); });
    finish(column.column);
  }
  for (const auto& [minute, content] : minutes) Encode(content.gauges, out);
  finish(Column::kGauges);
  if (fine) {
    AppendSection(DaySectionOf(Column::kSketches), SketchesOf(minutes), day.sketches);
  } else {
    std::map<Minute, EndpointMinute> thinned = minutes;
    ThinSketches(thinned);
    AppendSection(DaySectionOf(Column::kSketches), SketchesOf(thinned), day.sketches);
  }
  return day;
}

}  // namespace penstock::meter
