#include "meter/series_day.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "meter/bytes.h"

namespace penstock::meter {
namespace {

constexpr std::uint64_t kVersion = 2;
constexpr std::uint64_t kIndexSection = 1;
constexpr std::size_t kSectionBytesMax = std::size_t{1} << 28;
constexpr Minute kMinutesPerHour = 60;

struct StatColumn {
  Column column;
  GaugeStat SeriesCell::* stat;
};
constexpr std::array kStats = {
    StatColumn{Column::kInput, &SeriesCell::input},
    StatColumn{Column::kCached, &SeriesCell::cached},
    StatColumn{Column::kOutput, &SeriesCell::output},
    StatColumn{Column::kTotal, &SeriesCell::total},
    StatColumn{Column::kTtftPerToken, &SeriesCell::ttft_per_token_ns},
};
struct DistributionColumn {
  Column column;
  Distribution SeriesCell::* distribution;
};
constexpr std::array kDistributions = {
    DistributionColumn{Column::kTtft, &SeriesCell::ttft_us},
    DistributionColumn{Column::kTpot, &SeriesCell::tpot_us},
    DistributionColumn{Column::kDuration, &SeriesCell::duration_us},
    DistributionColumn{Column::kQueue, &SeriesCell::queue_us},
};
constexpr std::array kCounts = {&SeriesCell::requests, &SeriesCell::disconnected,
                                &SeriesCell::failed, &SeriesCell::cost_milli,
                                &SeriesCell::reserved_milli};
constexpr std::uint64_t kSections = 4 + kStats.size() + kDistributions.size();

// The index is 1; columns follow, by the number of their bit.
std::uint64_t SectionOf(Column column) {
  std::uint64_t section = kIndexSection + 1;
  for (auto bits = static_cast<unsigned>(column); bits > 1; bits >>= 1) ++section;
  return section;
}

Error Corrupt() { return {Code::kCorrupt, "a day of the series is damaged", {}}; }

// Moves the sketches of each hour to the hour's first minute that has values.
void ThinSketches(std::map<Minute, EndpointMinute>& minutes) {
  std::map<std::pair<SeriesKey, std::size_t>, Distribution*> first;  // Of the hour.
  Minute hour = -1;
  for (auto& [minute, content] : minutes) {
    if (minute / kMinutesPerHour != hour) first.clear();
    hour = minute / kMinutesPerHour;
    for (auto& [key, cell] : content.cells) {
      for (std::size_t i = 0; i < kDistributions.size(); ++i) {
        Distribution* const distribution = &(cell.*kDistributions[i].distribution);
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

bool Inflate(std::string_view packed, std::uint64_t plain_size, std::string& plain) {
  if (plain_size > kSectionBytesMax) return false;
  plain.resize(static_cast<std::size_t>(plain_size));
  uLongf size = plain.size();
  const int result = uncompress(reinterpret_cast<Bytef*>(plain.data()), &size,
                                reinterpret_cast<const Bytef*>(packed.data()), packed.size());
  return result == Z_OK && size == plain.size();
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
    for (const DistributionColumn& column : kDistributions) {
      bytes.clear();
      ByteWriter writer(bytes);
      const QuantileSketch& sketch = (cell.*column.distribution).sketch;
      if (!sketch.empty()) Encode(sketch, writer);
      out.Text(bytes);
    }
  });
  return text;
}

// The sections of a day that are wanted, and a place in each.
class Sections {
 public:
  // False: damaged.
  bool Open(std::string_view numbers, std::string_view sketches, Columns columns) {
    ByteReader in(numbers);
    if (in.Integer() != kVersion) return false;
    const std::uint64_t count = in.Integer();
    if (count > kSections) return false;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!Take(in, columns)) return false;
    }
    if (columns.Has(Column::kSketches)) {
      ByteReader last(sketches);
      if (!Take(last, columns) || !last.AtEnd()) return false;
    }
    for (const StatColumn& column : kStats) Want(columns, column.column);
    for (const DistributionColumn& column : kDistributions) Want(columns, column.column);
    for (const Column column : {Column::kRequests, Column::kGauges, Column::kSketches}) {
      Want(columns, column);
    }
    missing_ = missing_ || !open_[kIndexSection];
    return in.AtEnd() && !missing_;
  }

  ByteReader& Of(std::uint64_t section) { return readers_[section]; }
  ByteReader& Of(Column column) { return readers_[SectionOf(column)]; }

  // Whether every section was read to its end, and had one.
  bool Complete() const {
    return std::ranges::all_of(readers_,
                               [](const ByteReader& in) { return in.AtEnd() && !in.bad(); });
  }

 private:
  bool Take(ByteReader& in, Columns columns) {
    const std::uint64_t id = in.Integer();
    const std::uint64_t size = in.Integer();
    const std::string_view packed = in.Text();
    if (in.bad() || id < kIndexSection || id > kSections || open_[id]) return false;
    const auto column = static_cast<Column>(id == kIndexSection ? 0 : 1U << (id - 2));
    if (id != kIndexSection && !columns.Has(column)) return true;
    if (!Inflate(packed, size, texts_[id])) return false;
    readers_[id] = ByteReader(texts_[id]);
    open_[id] = true;
    return true;
  }
  void Want(Columns columns, Column column) {
    missing_ = missing_ || (columns.Has(column) && !open_[SectionOf(column)]);
  }

  std::array<std::string, kSections + 1> texts_;
  std::array<bool, kSections + 1> open_{};
  bool missing_ = false;
  std::vector<ByteReader> readers_ = std::vector(kSections + 1, ByteReader({}));
};

// Reads the columns of one cell.
class CellReader {
 public:
  CellReader(Sections& sections, Columns columns) : sections_(sections), columns_(columns) {
    for (const StatColumn& column : kStats) {
      if (columns.Has(column.column)) stats_.emplace_back(column.stat, &sections.Of(column.column));
    }
    for (const DistributionColumn& column : kDistributions) {
      if (columns.Has(column.column))
        distributions_.emplace_back(column.distribution, &sections.Of(column.column));
    }
  }

  void Read(SeriesCell& cell) {
    if (columns_.Has(Column::kRequests)) {
      ByteReader& in = sections_.Of(Column::kRequests);
      for (std::uint64_t SeriesCell::* const count : kCounts) cell.*count = in.Integer();
    }
    for (const auto& [stat, in] : stats_) DecodeInto(*in, cell.*stat);
    for (const auto& [distribution, in] : distributions_) {
      DecodeInto(*in, (cell.*distribution).stat);
    }
    if (columns_.Has(Column::kSketches)) ReadSketches(cell);
  }

 private:
  void ReadSketches(SeriesCell& cell) {
    for (const DistributionColumn& column : kDistributions) {
      QuantileSketch& sketch = (cell.*column.distribution).sketch;
      sketch.Clear();
      ByteReader bytes(sections_.Of(Column::kSketches).Text());
      if (!bytes.AtEnd()) DecodeInto(bytes, sketch);
    }
  }

  Sections& sections_;
  Columns columns_;
  std::vector<std::pair<GaugeStat SeriesCell::*, ByteReader*>> stats_;
  std::vector<std::pair<Distribution SeriesCell::*, ByteReader*>> distributions_;
};

bool ReadKeys(ByteReader& index, std::vector<SeriesKey>& keys) {
  const std::uint64_t count = index.Integer();
  if (index.bad() || count > index.rest().size()) return false;
  keys.resize(static_cast<std::size_t>(count));
  return std::ranges::all_of(keys, [&](SeriesKey& key) { return DecodeInto(index, key); });
}

}  // namespace

DayBytes PackDay(const std::map<Minute, EndpointMinute>& minutes, Minute day_begins, bool fine) {
  DayBytes day;
  ByteWriter head(day.numbers);
  head.Integer(kVersion);
  head.Integer(kSections - 1);  // All but the sketches.
  AppendSection(kIndexSection, Index(minutes, day_begins), day.numbers);
  std::string plain;
  ByteWriter out(plain);
  const auto finish = [&](Column column) {
    AppendSection(SectionOf(column), plain, day.numbers);
    plain.clear();
  };
  ForEachCell(minutes, [&](const SeriesCell& cell) {
    for (std::uint64_t SeriesCell::* const count : kCounts) out.Integer(cell.*count);
  });
  finish(Column::kRequests);
  for (const StatColumn& column : kStats) {
    ForEachCell(minutes, [&](const SeriesCell& cell) { Encode(cell.*column.stat, out); });
    finish(column.column);
  }
  for (const DistributionColumn& column : kDistributions) {
    ForEachCell(minutes,
                [&](const SeriesCell& cell) { Encode((cell.*column.distribution).stat, out); });
    finish(column.column);
  }
  for (const auto& [minute, content] : minutes) Encode(content.gauges, out);
  finish(Column::kGauges);
  if (fine) {
    AppendSection(SectionOf(Column::kSketches), SketchesOf(minutes), day.sketches);
  } else {
    std::map<Minute, EndpointMinute> thinned = minutes;
    ThinSketches(thinned);
    AppendSection(SectionOf(Column::kSketches), SketchesOf(thinned), day.sketches);
  }
  return day;
}

Status UnpackDay(std::string_view numbers, std::string_view sketches, Minute day_begins,
                 Columns columns, const VisitMinute& visit) {
  Sections sections;
  std::vector<SeriesKey> keys;
  if (!sections.Open(numbers, sketches, columns)) return Fail(Corrupt());
  ByteReader& index = sections.Of(kIndexSection);
  if (!ReadKeys(index, keys)) return Fail(Corrupt());
  CellReader cells(sections, columns);
  EndpointMinute content;
  std::vector<std::uint64_t> numbers_there;  // Of the keys that content's cells have already.
  const std::uint64_t minutes = index.Integer();
  if (minutes > static_cast<std::uint64_t>(kMinutesPerDay)) return Fail(Corrupt());
  std::uint64_t offset = 0;
  for (std::uint64_t i = 0; i < minutes; ++i) {
    offset += index.Integer();
    const std::uint64_t count = index.Integer();
    if (index.bad() || offset >= static_cast<std::uint64_t>(kMinutesPerDay) ||
        count > index.rest().size()) {
      return Fail(Corrupt());
    }
    content.cells.resize(static_cast<std::size_t>(count));
    numbers_there.resize(static_cast<std::size_t>(count), ~std::uint64_t{0});
    for (std::size_t c = 0; c < content.cells.size(); ++c) {
      const std::uint64_t number = index.Integer();
      if (number >= keys.size()) return Fail(Corrupt());
      if (numbers_there[c] != number) content.cells[c].key = keys[number];
      numbers_there[c] = number;
      cells.Read(content.cells[c].cell);
    }
    if (columns.Has(Column::kGauges)) DecodeInto(sections.Of(Column::kGauges), content.gauges);
    visit(day_begins + static_cast<Minute>(offset), content);
  }
  if (!sections.Complete()) return Fail(Corrupt());
  return {};
}

Status UnpackOldDay(std::string_view bytes, Minute day_begins, Sketches sketches,
                    const VisitMinute& visit) {
  ByteReader head(bytes);
  const std::uint64_t plain_size = head.Integer();
  std::string plain;
  if (head.bad() || !Inflate(head.rest(), plain_size, plain)) return Fail(Corrupt());
  ByteReader in(plain);
  EndpointMinute content;
  std::uint64_t offset = 0;
  while (!in.AtEnd()) {
    offset += in.Integer();
    const std::string_view text = in.Text();
    if (in.bad() || offset >= static_cast<std::uint64_t>(kMinutesPerDay)) return Fail(Corrupt());
    if (Status read = Decode(text, sketches, content); !read) return read;
    visit(day_begins + static_cast<Minute>(offset), content);
  }
  return {};
}

}  // namespace penstock::meter
