#include "meter/usage_record.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "meter/bytes.h"
#include "meter/ledger_format.h"

namespace penstock::meter {
namespace {

UsageRecord Sample() {
  return {.id = {.high = 0xFEDCBA9876543210, .low = 7},
          .ended_at = WallTime(std::chrono::milliseconds(1'800'000'000'123)),
          .endpoint = "chat",
          .endpoint_id = "88fd3f75a0d24b0380ddc40484d7a31b",
          .served_entity = "llama-1",
          .model = "main.default.llama",
          .model_version = 3,
          .requester = "alice",
          .client_request_id = "my-1",
          .usage_context = R"({"project":"x"})",
          .spilled_from = "chat-ptu",
          .operation = Operation::kChat,
          .end = RequestEnd::kDisconnected,
          .source = UsageSource::kCounted,
          .stream = true,
          .status = 200,
          .input_tokens = 1000,
          .cached_tokens = 128,
          .output_tokens = 77,
          .input_bytes = 4000,
          .output_bytes = 300,
          .duration_us = 1'500'000,
          .queue_wait_us = 20,
          .ttft_us = 123,
          .tpot_ns = 456,
          .cost_milli = 1'200'000,
          .reserved_milli = 2'000'000,
          .input_characters = 3900,
          .output_characters = 299};
}

TEST(UsageRecord, IsReadAsItWasWritten) {
  std::string bytes;
  Encode(Sample(), bytes);
  const auto read = DecodeUsage(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, Sample());
  EXPECT_EQ(KindOf(bytes), RecordKind::kUsage);
  EXPECT_EQ(read->id.ToString(), "fedcba98765432100000000000000007");
}

TEST(UsageRecord, ALaterVersionsFieldsAreLeftOut) {
  std::string bytes;
  Encode(Sample(), bytes);
  bytes += "more";
  const auto read = DecodeUsage(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, Sample());
}

TEST(UsageRecord, AnEarlierVersionsMissingFieldsAreZeroAndCharactersBytes) {
  UsageRecord record = Sample();
  record.cost_milli = 0;
  record.reserved_milli = 0;
  record.input_characters = record.output_characters = 0;  // A byte each.
  std::string bytes;
  Encode(record, bytes);
  bytes.resize(bytes.size() - 4);
  record.input_characters = record.input_bytes;
  record.output_characters = record.output_bytes;
  const auto read = DecodeUsage(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, record);
}

TEST(UsageRecord, LongTextsAreCutAtACharacter) {
  UsageRecord record = Sample();
  std::string name(kRecordTextBytesMax - 1, 'x');
  name += "é";  // Two bytes, one too many.
  record.client_request_id = name;
  const std::string context(kUsageContextBytesMax + 1, ' ');
  record.usage_context = context;
  std::string bytes;
  Encode(record, bytes);
  EXPECT_LE(bytes.size(), kPayloadBytesMax);
  const auto read = DecodeUsage(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->client_request_id, std::string(kRecordTextBytesMax - 1, 'x'));
  EXPECT_EQ(read->usage_context, "");
}

TEST(UsageRecord, DamageIsAnError) {
  std::string bytes;
  Encode(Sample(), bytes);
  for (std::size_t size = 1; size < 40; ++size) {
    const auto cut = DecodeUsage(std::string_view(bytes).substr(0, size));
    if (cut) EXPECT_NE(*cut, Sample());
  }
  EXPECT_FALSE(DecodeUsage("\x02"));
  EXPECT_FALSE(DecodeGauge(bytes));
}

TEST(GaugeRecord, IsReadAsItWasWritten) {
  GaugeRecord record{.at = WallTime(std::chrono::milliseconds(60'000)),
                     .endpoint = "chat",
                     .model = "m",
                     .model_version = 1};
  record.replicas_ready.Add(2);
  record.replicas_ready.Add(5);
  record.utilisation_milli.Add(990);
  std::string bytes;
  Encode(record, bytes);
  const auto read = DecodeGauge(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, record);
  EXPECT_EQ(read->replicas_ready, (GaugeStat{.samples = 2, .sum = 7, .minimum = 2, .maximum = 5}));
}

TEST(Bytes, IntegersOfEverySizeComeBack) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    std::string bytes;
    ByteWriter writer(bytes);
    std::vector<std::uint64_t> written;
    for (int i = 0; i < 100; ++i) written.push_back(random.Next() >> random.Below(64));
    written.push_back(~std::uint64_t{0});
    for (const std::uint64_t value : written) {
      writer.Integer(value);
      writer.Signed(static_cast<std::int64_t>(value));
    }
    ByteReader reader(bytes);
    for (const std::uint64_t value : written) {
      EXPECT_EQ(reader.Integer(), value);
      EXPECT_EQ(reader.Signed(), static_cast<std::int64_t>(value));
    }
    EXPECT_TRUE(reader.AtEnd());
    EXPECT_FALSE(reader.bad());
  }
}

TEST(Bytes, WhatIsNoIntegerIsBad) {
  ByteReader unfinished("\xff\xff");
  EXPECT_EQ(unfinished.Integer(), 0u);
  EXPECT_TRUE(unfinished.bad());
  ByteReader too_long("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
  EXPECT_EQ(too_long.Integer(), 0u);
  EXPECT_TRUE(too_long.bad());
  ByteReader text("\x05xy");
  EXPECT_EQ(text.Text(), "");
  EXPECT_TRUE(text.bad());
}

}  // namespace
}  // namespace penstock::meter
