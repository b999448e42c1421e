#include "meter/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/random.h"
#include "base/test_folder.h"
#include "meter/ledger_format.h"
#include "meter/ledger_reader.h"

namespace penstock::meter {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr WallTime kStart{milliseconds(1'800'000'000'000)};

UsageRecord RecordOf(std::uint64_t number, WallTime at = kStart) {
  return {.id = {.high = 1, .low = number},
          .ended_at = at,
          .endpoint = "chat",
          .requester = "alice",
          .status = 200,
          .output_tokens = number};
}

// Every id of the folder, with how often it is given.
std::map<std::uint64_t, int> IdsOf(const std::string& folder, LedgerReadStats* stats = nullptr) {
  std::map<std::uint64_t, int> ids;
  const auto read = ReadLedger(folder, WallTime::min(), WallTime::max(),
                               {.usage =
                                    [&ids](const UsageRecord& record) {
                                      EXPECT_EQ(record.output_tokens, record.id.low);
                                      ++ids[record.id.low];
                                    },
                                .gauge = {}});
  EXPECT_TRUE(read);
  if (read && stats != nullptr) *stats = *read;
  return ids;
}

std::vector<std::string> NamesOf(const std::string& folder, std::string_view ending) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().string().ends_with(ending)) names.push_back(entry.path().string());
  }
  return names;
}

TEST(Ledger, ARecordIsInTheFileOnceRecordReturns) {
  const TestFolder folder;
  auto ledger = *Ledger::Open(folder.File("ledger"));
  const auto writer = ledger->MakeWriter();
  writer->Record(RecordOf(1));
  EXPECT_EQ(IdsOf(ledger->folder()), (std::map<std::uint64_t, int>{{1, 1}}));
  EXPECT_EQ(ledger->counters().records, 1u);
}

TEST(Ledger, OfNoFolderAndAnEmptyOneNothingIsRead) {
  const TestFolder folder;
  EXPECT_TRUE(IdsOf(folder.File("none")).empty());
  EXPECT_TRUE(IdsOf(folder.path()).empty());
}

TEST(Ledger, FinishedSegmentsAreRenamedBySync) {
  const TestFolder folder;
  auto ledger = *Ledger::Open(folder.File("ledger"));
  auto writer = ledger->MakeWriter();
  writer->Record(RecordOf(1));
  ledger->SyncDirty();
  EXPECT_EQ(NamesOf(ledger->folder(), ".open").size(), 1u);
  writer.reset();
  ledger->SyncDirty();
  EXPECT_EQ(NamesOf(ledger->folder(), ".ledger").size(), 1u);
  EXPECT_TRUE(ledger->Living().empty());
  EXPECT_EQ(IdsOf(ledger->folder()).size(), 1u);
}

TEST(Ledger, SegmentsEndAtTheirSizeAndAge) {
  const TestFolder folder;
  auto ledger = *Ledger::Open(folder.File("ledger"), {.segment_bytes_max = 1000});
  auto writer = ledger->MakeWriter();
  for (std::uint64_t i = 0; i < 100; ++i) writer->Record(RecordOf(i));
  writer->Record(RecordOf(100, kStart + hours(1)));
  writer.reset();  // The last one is longer, by what was made ready.
  EXPECT_GT(NamesOf(ledger->folder(), ".open").size(), 4u);
  for (const std::string& path : NamesOf(ledger->folder(), ".open")) {
    EXPECT_LE(std::filesystem::file_size(path), 1200u);
  }
  EXPECT_EQ(IdsOf(ledger->folder()).size(), 101u);
}

// What is written goes on over the border of a window, however records fall on it.
TEST(Ledger, RecordsCrossWindows) {
  const TestFolder folder;
  auto ledger = *Ledger::Open(folder.File("ledger"));
  auto writer = ledger->MakeWriter();
  std::uint64_t number = 0;
  const std::string path = [&] {
    writer->Record(RecordOf(number++));
    return NamesOf(ledger->folder(), ".open").at(0);
  }();
  while (ledger->Living().at(0)->written < 3 * LedgerWindow::kBytes) {
    writer->Record(RecordOf(number++));
  }
  LedgerReadStats stats;
  EXPECT_EQ(IdsOf(ledger->folder(), &stats).size(), number);
  const std::uint64_t written = ledger->Living().at(0)->written;
  writer.reset();
  EXPECT_EQ(std::filesystem::file_size(path), written);
  ledger->SyncDirty();
  EXPECT_EQ(IdsOf(ledger->folder(), &stats).size(), number);
  EXPECT_EQ(stats.damaged_bytes, 0u);
}

// A writer that was killed leaves zeros behind its last record, and perhaps a part of the next.
TEST(Ledger, WhatWasMadeReadyIsCutOffAtTheStart) {
  const TestFolder folder;
  std::string content;
  std::size_t used = 0;
  {
    auto ledger = *Ledger::Open(folder.File("whole"));
    const auto writer = ledger->MakeWriter();
    for (std::uint64_t i = 0; i < 5; ++i) writer->Record(RecordOf(i));
    content = *ReadSmallFile(NamesOf(ledger->folder(), ".open").at(0), 1 << 20);
    used = ledger->Living().at(0)->written;
  }
  ASSERT_LT(used + 100, content.size());
  for (const bool torn : {false, true}) {
    const std::string killed = folder.File(torn ? "torn" : "clean");
    std::filesystem::create_directory(killed);
    std::string left = content;
    if (torn) left.replace(used + 8, 20, 20, 'x');  // The size comes last.
    std::ofstream(killed + "/1800000000000-00000000-000000.open", std::ios::binary) << left;
    auto ledger = Ledger::Open(killed);
    ASSERT_TRUE(ledger);
    EXPECT_EQ((*ledger)->counters().torn_bytes > 0, torn);
    LedgerReadStats stats;
    EXPECT_EQ(IdsOf(killed, &stats).size(), 5u);
    EXPECT_EQ(stats.damaged_bytes, 0u);
    EXPECT_EQ(std::filesystem::file_size(NamesOf(killed, ".ledger").at(0)), used);
  }
}

// A segment cut at every byte: what was whole stays, and the ledger goes on.
TEST(Ledger, SurvivesACutAtAnyByte) {
  const TestFolder folder;
  std::string content;
  {
    auto ledger = *Ledger::Open(folder.File("whole"));
    const auto writer = ledger->MakeWriter();
    for (std::uint64_t i = 0; i < 5; ++i) writer->Record(RecordOf(i));
    content = *ReadSmallFile(NamesOf(ledger->folder(), ".open").at(0), 1 << 20);
    content.resize(ledger->Living().at(0)->written);
  }
  std::size_t most = 0;
  for (std::size_t size = 0; size <= content.size(); ++size) {
    const std::string cut = folder.File("cut" + std::to_string(size));
    std::filesystem::create_directory(cut);
    std::ofstream(cut + "/1800000000000-00000000-000000.open", std::ios::binary)
        << content.substr(0, size);
    auto ledger = Ledger::Open(cut);
    ASSERT_TRUE(ledger);
    const auto before = IdsOf(cut);
    EXPECT_GE(before.size(), most);
    most = before.size();
    (*ledger)->MakeWriter()->Record(RecordOf(99));
    const auto after = IdsOf(cut);
    EXPECT_EQ(after.size(), before.size() + 1) << size;
    EXPECT_EQ(NamesOf(cut, ".open").size(), 1u);
  }
  EXPECT_EQ(most, 5u);
}

TEST(Ledger, DamageIsToldAndHidesOnlyWhatFollows) {
  const TestFolder folder;
  auto ledger = *Ledger::Open(folder.File("ledger"));
  auto writer = ledger->MakeWriter();
  for (std::uint64_t i = 0; i < 9; ++i) writer->Record(RecordOf(i));
  writer.reset();
  ledger->SyncDirty();
  const std::string path = NamesOf(ledger->folder(), ".ledger").at(0);
  std::string content = *ReadSmallFile(path, 1 << 20);
  content[content.size() / 2] ^= 1;
  std::ofstream(path, std::ios::binary) << content;
  LedgerReadStats stats;
  const auto ids = IdsOf(ledger->folder(), &stats);
  EXPECT_EQ(ids.size(), 4u);
  EXPECT_GT(stats.damaged_bytes, 0u);
}

TEST(Ledger, ARecordCountsOnceHoweverOftenItIsThere) {
  const TestFolder folder;
  auto ledger = *Ledger::Open(folder.File("ledger"));
  const auto one = ledger->MakeWriter();
  const auto other = ledger->MakeWriter();
  for (int i = 0; i < 3; ++i) {
    one->Record(RecordOf(1));
    other->Record(RecordOf(1));
  }
  LedgerReadStats stats;
  EXPECT_EQ(IdsOf(ledger->folder(), &stats), (std::map<std::uint64_t, int>{{1, 1}}));
  EXPECT_EQ(stats.duplicates, 5u);
}

TEST(Ledger, RetainRemovesTheOldAndTheTooMany) {
  const TestFolder folder;
  auto ledger = *Ledger::Open(folder.File("ledger"),
                              {.segment_bytes_max = 1, .bytes_max = 1 << 20, .keep = hours(24)});
  auto writer = ledger->MakeWriter();
  for (std::uint64_t i = 0; i < 10; ++i) writer->Record(RecordOf(i, kStart + hours(10 * i)));
  writer.reset();
  ledger->SyncDirty();
  ledger->Retain(kStart + hours(90));
  EXPECT_EQ(IdsOf(ledger->folder()).begin()->first, 7u);  // 70 h: within 24 h and a segment's age.
  EXPECT_EQ(ledger->counters().removed_segments, 7u);
}

TEST(Ledger, RetainHoldsTheSizeAtItsLimit) {
  const TestFolder folder;
  auto ledger = *Ledger::Open(folder.File("ledger"), {.segment_bytes_max = 1, .bytes_max = 500});
  auto writer = ledger->MakeWriter();
  for (std::uint64_t i = 0; i < 50; ++i) writer->Record(RecordOf(i));
  writer.reset();
  ledger->SyncDirty();
  ledger->Retain(kStart);
  EXPECT_LE(ledger->counters().disk_bytes, 500u);
  const auto ids = IdsOf(ledger->folder());
  EXPECT_GT(ids.size(), 2u);
  EXPECT_EQ(ids.rbegin()->first, 49u);
}

// A folder that takes no files stands for a disk that is full: nothing of the caller's fails, a
// bounded number waits, the rest is counted, and what waited is written when there is room again.
TEST(Ledger, ServiceGoesOnWithoutADisk) {
  const TestFolder folder;
  auto ledger = *Ledger::Open(folder.File("ledger"));
  const auto writer = ledger->MakeWriter();
  std::filesystem::rename(ledger->folder(), folder.File("away"));
  std::uint64_t number = 0;
  while (ledger->counters().lost_records == 0) writer->Record(RecordOf(number++));
  for (int i = 0; i < 9; ++i) writer->Record(RecordOf(number++));
  EXPECT_EQ(ledger->counters().lost_records, 10u);
  EXPECT_GT(ledger->counters().pending_bytes, LedgerWriter::kPendingBytesMax / 2);
  EXPECT_LT(ledger->counters().pending_bytes, LedgerWriter::kPendingBytesMax * 2);
  std::filesystem::rename(folder.File("away"), ledger->folder());
  writer->Record(RecordOf(number++));
  EXPECT_EQ(ledger->counters().pending_bytes, 0u);
  EXPECT_EQ(IdsOf(ledger->folder()).size(), number - 10);
  EXPECT_EQ(ledger->counters().records, number - 10);
}

// Somebody truncates a segment that is being written, in its middle or altogether: the process
// lives, what follows is recorded, and the loss is counted.
TEST(Ledger, ASegmentThatIsCutFromOutsideIsLeft) {
  for (const std::uint64_t kept : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{5000}}) {
    SCOPED_TRACE(kept);
    const TestFolder folder;
    auto ledger = Ledger::Open(folder.File("ledger")).value();
    auto writer = ledger->MakeWriter();
    std::uint64_t number = 1;
    while (number < 200) writer->Record(RecordOf(number++));
    const std::uint64_t written = ledger->Living().at(0)->written;
    ASSERT_GT(written, 8192u);  // Some of its pages go, and one is cut within.
    const std::string path = NamesOf(folder.File("ledger"), kOpenEnding).at(0);
    std::filesystem::resize_file(path, kept);
    // As the next record, or the next sync, finds it: the one by a page that is gone, the other by
    // the file's size.
    writer->Record(RecordOf(number++));
    ledger->SyncDirty();
    writer->Record(RecordOf(number++));
    EXPECT_GE(ledger->counters().cut_bytes, written - kept);
    writer.reset();
    ledger->SyncDirty();
    EXPECT_EQ(ledger->counters().lost_records, 0u);
    const auto ids = IdsOf(folder.File("ledger"));
    EXPECT_EQ(ids.count(number - 1), 1u);
    if (kept == 5000) EXPECT_EQ(ids.count(1), 1u);
    if (kept == 0) EXPECT_EQ(ids.count(1), 0u);
  }
}

// A cut between two pages that are still the file's: only its size tells.
TEST(Ledger, ACutWithinAPageIsFoundBySyncing) {
  const TestFolder folder;
  auto ledger = Ledger::Open(folder.File("ledger")).value();
  auto writer = ledger->MakeWriter();
  for (std::uint64_t i = 1; i <= 3; ++i) writer->Record(RecordOf(i));
  ledger->SyncDirty();
  const std::uint64_t written = ledger->Living().at(0)->written;
  std::filesystem::resize_file(NamesOf(folder.File("ledger"), kOpenEnding).at(0), written - 1);
  writer->Record(RecordOf(4));  // Into the cut page: nobody notices yet.
  ledger->SyncDirty();
  writer->Record(RecordOf(5));
  EXPECT_GT(ledger->counters().cut_bytes, 0u);
  writer.reset();
  ledger->SyncDirty();
  const auto ids = IdsOf(folder.File("ledger"));
  EXPECT_EQ(ids.count(1), 1u);
  EXPECT_EQ(ids.count(5), 1u);
}

TEST(RecentIds, RememberABoundedNumber) {
  RecentIds ids;
  EXPECT_TRUE(ids.Insert({.high = 0, .low = 0}));
  for (std::uint64_t i = 1; i < RecentIds::kRememberedMax; ++i) ids.Insert({.high = 0, .low = i});
  EXPECT_FALSE(ids.Insert({.high = 0, .low = 0}));
}

// Against a set that remembers everything: no id twice, none refused that is new.
TEST(RecentIds, TellTheSameAsASet) {
  const auto seed = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
  Random random(seed);
  RecentIds ids;
  std::set<std::pair<std::uint64_t, std::uint64_t>> all;
  for (int i = 0; i < 50'000; ++i) {
    const RequestId id{.high = random.Below(3), .low = random.Below(40'000)};
    EXPECT_EQ(ids.Insert(id), all.insert({id.high, id.low}).second) << "seed " << seed;
  }
}

}  // namespace
}  // namespace penstock::meter
