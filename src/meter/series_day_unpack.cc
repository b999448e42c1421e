// A day's bytes to minutes.
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "meter/bytes.h"
#include "meter/series_day.h"
#include "meter/series_day_layout.h"

namespace penstock::meter {
namespace {

constexpr std::size_t kSectionBytesMax = std::size_t{1} << 28;

Error Corrupt() { return {Code::kCorrupt, "a day of the series is damaged", {}}; }

bool Inflate(std::string_view packed, std::uint64_t plain_size, std::string& plain) {
  if (plain_size > kSectionBytesMax) return false;
  plain.resize(static_cast<std::size_t>(plain_size));
  uLongf size = plain.size();
  const int result = uncompress(reinterpret_cast<Bytef*>(plain.data()), &size,
                                reinterpret_cast<const Bytef*>(packed.data()), packed.size());
  return result == Z_OK && size == plain.size();
}

// The sections of a day that are wanted, and a place in each.
class Sections {
 public:
  // False: damaged.
  bool Open(std::string_view numbers, std::string_view sketches, Columns columns) {
    ByteReader in(numbers);
    if (in.Integer() != kDayVersion) return false;
    const std::uint64_t count = in.Integer();
    if (count > kDaySections) return false;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!Take(in, columns)) return false;
    }
    if (columns.Has(Column::kSketches)) {
      ByteReader last(sketches);
      if (!Take(last, columns) || !last.AtEnd()) return false;
    }
    for (const StatColumn& column : kDayStats) Want(columns, column.column);
    for (const DistributionColumn& column : kDayDistributions) Want(columns, column.column);
    for (const Column column : {Column::kRequests, Column::kGauges, Column::kSketches}) {
      Want(columns, column);
    }
    missing_ = missing_ || !open_[kDayIndexSection];
    return in.AtEnd() && !missing_;
  }

  ByteReader& Of(std::uint64_t section) { return readers_[section]; }
  ByteReader& Of(Column column) { return readers_[DaySectionOf(column)]; }

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
    if (in.bad() || id < kDayIndexSection || id > kDaySections || open_[id]) return false;
    if (id != kDayIndexSection && !columns.Has(static_cast<Column>(1U << (id - 2)))) return true;
    if (!Inflate(packed, size, texts_[id])) return false;
    readers_[id] = ByteReader(texts_[id]);
    open_[id] = true;
    return true;
  }
  void Want(Columns columns, Column column) {
    missing_ = missing_ || (columns.Has(column) && !open_[DaySectionOf(column)]);
  }

  std::array<std::string, kDaySections + 1> texts_;
  std::array<bool, kDaySections + 1> open_{};
  bool missing_ = false;
  std::vector<ByteReader> readers_ = std::vector(kDaySections + 1, ByteReader({}));
};

// Reads the columns of one cell.
class CellReader {
 public:
  CellReader(Sections& sections, Columns columns) : sections_(sections), columns_(columns) {
    for (const StatColumn& column : kDayStats) {
      if (columns.Has(column.column)) stats_.emplace_back(column.stat, &sections.Of(column.column));
    }
    for (const DistributionColumn& column : kDayDistributions) {
      if (columns.Has(column.column))
        distributions_.emplace_back(column.distribution, &sections.Of(column.column));
    }
  }

  void Read(SeriesCell& cell) {
    if (columns_.Has(Column::kRequests)) {
      ByteReader& in = sections_.Of(Column::kRequests);
      for (std::uint64_t SeriesCell::* const count : kDayCounts) cell.*count = in.Integer();
    }
    for (const auto& [stat, in] : stats_) DecodeInto(*in, cell.*stat);
    for (const auto& [distribution, in] : distributions_) {
      DecodeInto(*in, (cell.*distribution).stat);
    }
    if (columns_.Has(Column::kSketches)) ReadSketches(cell);
  }

 private:
  void ReadSketches(SeriesCell& cell) {
    for (const DistributionColumn& column : kDayDistributions) {
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

Status UnpackDay(std::string_view numbers, std::string_view sketches, Minute day_begins,
                 Columns columns, const VisitMinute& visit) {
  Sections sections;
  std::vector<SeriesKey> keys;
  if (!sections.Open(numbers, sketches, columns)) return Fail(Corrupt());
  ByteReader& index = sections.Of(kDayIndexSection);
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
