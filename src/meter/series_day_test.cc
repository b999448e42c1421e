#include "meter/series_day.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

#include "base/test_folder.h"
#include "meter/bytes.h"
#include "meter/series.h"
#include "meter/usage_testing.h"
#include "store/database.h"

namespace penstock::meter {
namespace {

using Day = std::map<Minute, EndpointMinute>;

constexpr Minute kBegins = 20'000 * kMinutesPerDay;

Day RandomDay(std::uint64_t seed, int records) {
  Random random(seed);
  Day day;
  for (int i = 0; i < records; ++i) {
    UsageRecord record = RandomRecord(random);
    record.model = random.Below(2) == 0 ? "m" : "n";
    EndpointMinute& minute = day[kBegins + static_cast<Minute>(random.Below(kMinutesPerDay))];
    minute
        .CellOf({.model = std::string(record.model),
                 .model_version = record.model_version,
                 .operation = record.operation,
                 .stream = record.stream,
                 .spilled = record.is_spillover(),
                 .status = record.status})
        .Add(record);
    if (random.Below(2) == 0) minute.gauges.running.Add(random.Below(9));
  }
  return day;
}

Status Unpack(const DayBytes& bytes, Columns columns, Day& day) {
  return UnpackDay(bytes.numbers, bytes.sketches, kBegins, columns,
                   [&day](Minute minute, const EndpointMinute& content) { day[minute] = content; });
}

TEST(SeriesDay, ComesBackAsItWas) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Day day = RandomDay(seed, static_cast<int>(seed) * 100);
    Day read;
    ASSERT_TRUE(Unpack(PackDay(day, kBegins, true), Columns::All(), read)) << "seed " << seed;
    EXPECT_EQ(read, day) << "seed " << seed;
  }
  Day read;
  EXPECT_TRUE(Unpack(PackDay({}, kBegins, true), Columns::All(), read));
  EXPECT_TRUE(read.empty());
}

// Of what is not asked for there is nothing; keys are always there.
TEST(SeriesDay, AColumnComesAlone) {
  const Day day = RandomDay(3, 500);
  DayBytes bytes = PackDay(day, kBegins, true);
  bytes.sketches = "not looked at";
  Day read;
  ASSERT_TRUE(Unpack(bytes, Column::kOutput | Column::kTtft, read));
  ASSERT_EQ(read.size(), day.size());
  for (const auto& [minute, content] : day) {
    EndpointMinute wanted;
    for (const EndpointMinute::Entry& entry : content.cells) {
      SeriesCell& cell = wanted.CellOf(entry.key);
      cell.output = entry.cell.output;
      cell.ttft_us.stat = entry.cell.ttft_us.stat;
    }
    EXPECT_EQ(read.at(minute), wanted);
  }
}

TEST(SeriesDay, ThinsSketchesToTheHourAndNothingElse) {
  const Day day = RandomDay(7, 3000);
  Day read;
  ASSERT_TRUE(Unpack(PackDay(day, kBegins, false), Columns::All(), read));
  Day numbers;
  ASSERT_TRUE(Unpack(PackDay(day, kBegins, true), Columns::Numbers(), numbers));
  std::map<Minute, EndpointMinute> hours_read;
  std::map<Minute, EndpointMinute> hours;
  std::size_t sketched = 0;
  std::size_t all = 0;
  for (auto& [minute, content] : read) {
    hours_read[minute / 60].Merge(content);
    for (auto& [key, cell] : content.cells) {
      for (Distribution* const each :
           {&cell.ttft_us, &cell.tpot_us, &cell.duration_us, &cell.queue_us}) {
        sketched += each->sketch.empty() ? 0 : 1;
        all += each->stat.samples != 0 ? 1 : 0;
        each->sketch.Clear();
      }
    }
  }
  for (const auto& [minute, content] : day) hours[minute / 60].Merge(content);
  EXPECT_EQ(read, numbers);
  EXPECT_EQ(hours_read, hours);
  EXPECT_LT(sketched, all);
}

TEST(SeriesDay, DamageIsAnError) {
  const DayBytes bytes = PackDay(RandomDay(5, 50), kBegins, true);
  Day read;
  ASSERT_TRUE(Unpack(bytes, Columns::All(), read));
  for (std::size_t size = 0; size < bytes.numbers.size(); ++size) {
    const DayBytes cut{.numbers = bytes.numbers.substr(0, size), .sketches = bytes.sketches};
    EXPECT_FALSE(Unpack(cut, Columns::All(), read)) << size;
  }
  for (std::size_t size = 0; size < bytes.sketches.size(); ++size) {
    const DayBytes cut{.numbers = bytes.numbers, .sketches = bytes.sketches.substr(0, size)};
    EXPECT_FALSE(Unpack(cut, Columns::All(), read)) << size;
  }
  // Any other byte: an error, or another day, but no harm.
  for (std::size_t at = 0; at < bytes.numbers.size(); ++at) {
    DayBytes bad = bytes;
    bad.numbers[at] = static_cast<char>(bad.numbers[at] ^ 0x55);
    (void)Unpack(bad, Columns::All(), read);
  }
}

// A day as version 1 of the file has it.
std::string OldDay(const Day& day) {
  std::string plain;
  ByteWriter out(plain);
  Minute last = kBegins;
  for (const auto& [minute, content] : day) {
    out.Integer(static_cast<std::uint64_t>(minute - last));
    last = minute;
    std::string bytes;
    Encode(content, Sketches::kWith, bytes);
    out.Text(bytes);
  }
  std::string packed;
  ByteWriter(packed).Integer(plain.size());
  uLongf size = compressBound(plain.size());
  std::string body(size, '\0');
  compress(reinterpret_cast<Bytef*>(body.data()), &size,
           reinterpret_cast<const Bytef*>(plain.data()), plain.size());
  return packed + body.substr(0, size);
}

TEST(SeriesDay, AFileOfVersion1IsReadAndPackedAgain) {
  const TestFolder folder;
  const std::string path = folder.File("series.db");
  const Day day = RandomDay(11, 400);
  {
    auto database = *store::Database::Open(path, 0x504E5352);
    ASSERT_TRUE(database.Execute(
        "CREATE TABLE endpoint (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
        "CREATE TABLE position (stem TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT, WITHOUT "
        "ROWID; CREATE TABLE minute (endpoint INTEGER NOT NULL, minute INTEGER NOT NULL, content "
        "BLOB NOT NULL, PRIMARY KEY (endpoint, minute)) STRICT, WITHOUT ROWID; CREATE TABLE day "
        "(endpoint INTEGER NOT NULL, day INTEGER NOT NULL, fine INTEGER NOT NULL, content BLOB NOT "
        "NULL, PRIMARY KEY (endpoint, day)) STRICT, WITHOUT ROWID; CREATE INDEX day_by_day ON day "
        "(day); INSERT INTO endpoint VALUES (1, 'chat'); PRAGMA application_id = 1347310418; "
        "PRAGMA user_version = 1"));
    auto insert = *database.Prepare("INSERT INTO day VALUES (1, 20000, 1, ?)");
    ASSERT_TRUE(insert.BindBlob(1, OldDay(day)).Run());
  }
  auto series = Series::Open(path);
  ASSERT_TRUE(series) << series.error().message;
  const auto read = [&] {
    Day there;
    EXPECT_TRUE(series->Read("chat", {.from = 0, .until = Minute{1} << 40}, Columns::All(),
                             [&](const std::string&, Minute minute, const EndpointMinute& content) {
                               there[minute].Merge(content);
                             }));
    return there;
  };
  EXPECT_EQ(read(), day);
  const WallTime now = TimeOf(kBegins + 2 * kMinutesPerDay);
  EXPECT_TRUE(*series->Compact(now));
  EXPECT_FALSE(*series->Compact(now));
  EXPECT_EQ(read(), day);
  EXPECT_FALSE(UnpackOldDay(OldDay(day).substr(0, 40), kBegins, Sketches::kWith,
                            [](Minute, const EndpointMinute&) {}));
}

}  // namespace
}  // namespace penstock::meter
