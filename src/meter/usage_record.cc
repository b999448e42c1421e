#include "meter/usage_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "meter/bytes.h"

namespace penstock::meter {
namespace {

constexpr std::array<std::string_view, kRequestEnds> kEndWords = {
    "completed", "client_error", "refused", "server_error", "disconnected"};
constexpr std::array<std::string_view, 4> kOperationWords = {"unknown", "chat", "completions",
                                                             "embeddings"};
constexpr std::array<std::string_view, 4> kSourceWords = {"none", "upstream", "counted",
                                                          "estimated"};
constexpr std::uint64_t kStreamFlag = 1;
constexpr std::uint64_t kTtftFlag = 2;
constexpr std::uint64_t kTpotFlag = 4;

// At most `size_max` bytes, never half a UTF-8 character.
std::string_view Cut(std::string_view text, std::size_t size_max) {
  if (text.size() <= size_max) return text;
  while (size_max > 0 && (static_cast<unsigned char>(text[size_max]) & 0xC0U) == 0x80U) --size_max;
  return text.substr(0, size_max);
}

void WriteText(ByteWriter& out, std::string_view text) { out.Text(Cut(text, kRecordTextBytesMax)); }

// The enumerator `value` of `count`; marks the bytes as bad beyond it.
template <typename T>
T ReadEnum(ByteReader& in, std::size_t count, bool& bad) {
  const std::uint64_t value = in.Integer();
  bad = bad || value >= count;
  return value < count ? static_cast<T>(value) : T{};
}

void Write(ByteWriter& out, const GaugeStat& stat) {
  out.Integer(stat.samples);
  if (stat.samples == 0) return;
  out.Integer(stat.sum);
  out.Integer(stat.minimum);
  out.Integer(stat.maximum);
}

GaugeStat ReadStat(ByteReader& in) {
  GaugeStat stat{.samples = in.Integer()};
  if (stat.samples == 0) return stat;
  stat.sum = in.Integer();
  stat.minimum = in.Integer();
  stat.maximum = in.Integer();
  return stat;
}

std::int64_t Milliseconds(WallTime time) { return time.time_since_epoch().count(); }
// Not through years that no calendar has.
WallTime ReadTime(ByteReader& in) {
  constexpr std::int64_t kFarthest = std::int64_t{1} << 45;  // The year 3084.
  return WallTime(std::chrono::milliseconds(std::clamp(in.Signed(), -kFarthest, kFarthest)));
}

Error Corrupt(std::string_view what) {
  return {Code::kCorrupt, fmt::format("a {} record of the ledger is damaged", what), {}};
}

}  // namespace

std::string_view ToWord(RequestEnd end) { return kEndWords[static_cast<std::size_t>(end)]; }
std::string_view ToWord(Operation operation) {
  return kOperationWords[static_cast<std::size_t>(operation)];
}
std::string_view ToWord(UsageSource source) {
  return kSourceWords[static_cast<std::size_t>(source)];
}
std::optional<Operation> OperationOf(std::string_view word) {
  const auto* const found = std::ranges::find(kOperationWords, word);
  if (found == kOperationWords.end()) return {};
  return static_cast<Operation>(found - kOperationWords.begin());
}

// Each request has one: by hand, since a formatter takes four times as long.
std::string RequestId::ToString(std::string_view before) const {
  std::string text(before.size() + 32, '0');
  char* const digits = std::ranges::copy(before, text.data()).out;
  for (std::size_t i = 0; i < 16; ++i) {
    const auto shift = static_cast<unsigned>(60 - 4 * i);
    digits[i] = "0123456789abcdef"[(high >> shift) & 15];
    digits[16 + i] = "0123456789abcdef"[(low >> shift) & 15];
  }
  return text;
}

void GaugeStat::Add(std::uint64_t value) {
  Merge({.samples = 1, .sum = value, .minimum = value, .maximum = value});
}

void GaugeStat::Merge(const GaugeStat& other) {
  if (other.samples == 0) return;
  minimum = samples == 0 ? other.minimum : std::min(minimum, other.minimum);
  maximum = samples == 0 ? other.maximum : std::max(maximum, other.maximum);
  samples += other.samples;
  sum += other.sum;
}

void Encode(const UsageRecord& record, std::string& text) {
  ByteWriter out(text);
  out.Integer(static_cast<std::uint64_t>(RecordKind::kUsage));
  out.Fixed64(record.id.high);
  out.Fixed64(record.id.low);
  out.Signed(Milliseconds(record.ended_at));
  WriteText(out, record.endpoint);
  WriteText(out, record.endpoint_id);
  WriteText(out, record.served_entity);
  WriteText(out, record.model);
  out.Signed(record.model_version);
  WriteText(out, record.requester);
  WriteText(out, record.client_request_id);
  const bool whole = record.usage_context.size() <= kUsageContextBytesMax;
  out.Text(whole ? record.usage_context : std::string_view());
  WriteText(out, record.spilled_from);
  const std::uint64_t flags = (record.stream ? kStreamFlag : 0) | (record.ttft_us ? kTtftFlag : 0) |
                              (record.tpot_ns ? kTpotFlag : 0);
  out.Integers(std::to_array<std::uint64_t>(
      {static_cast<std::uint64_t>(record.operation), static_cast<std::uint64_t>(record.end),
       static_cast<std::uint64_t>(record.source), flags, record.status, record.input_tokens,
       record.cached_tokens, record.output_tokens, record.input_bytes, record.output_bytes,
       record.duration_us, record.queue_wait_us, record.ttft_us.value_or(0),
       record.tpot_ns.value_or(0), record.cost_milli, record.reserved_milli,
       record.input_characters, record.output_characters}));
}

Result<UsageRecord> DecodeUsage(std::string_view payload) {
  ByteReader in(payload);
  bool bad = in.Integer() != static_cast<std::uint64_t>(RecordKind::kUsage);
  UsageRecord record;
  record.id.high = in.Fixed64();
  record.id.low = in.Fixed64();
  record.ended_at = ReadTime(in);
  record.endpoint = in.Text();
  record.endpoint_id = in.Text();
  record.served_entity = in.Text();
  record.model = in.Text();
  record.model_version = in.Signed();
  record.requester = in.Text();
  record.client_request_id = in.Text();
  record.usage_context = in.Text();
  record.spilled_from = in.Text();
  record.operation = ReadEnum<Operation>(in, kOperationWords.size(), bad);
  record.end = ReadEnum<RequestEnd>(in, kRequestEnds, bad);
  record.source = ReadEnum<UsageSource>(in, kSourceWords.size(), bad);
  const std::uint64_t flags = in.Integer();
  record.stream = (flags & kStreamFlag) != 0;
  const std::uint64_t status = in.Integer();
  bad = bad || status > std::numeric_limits<std::uint16_t>::max();
  record.status = static_cast<std::uint16_t>(status);
  for (std::uint64_t* const value :
       {&record.input_tokens, &record.cached_tokens, &record.output_tokens, &record.input_bytes,
        &record.output_bytes, &record.duration_us, &record.queue_wait_us}) {
    *value = in.Integer();
  }
  const std::uint64_t ttft_us = in.Integer();
  if ((flags & kTtftFlag) != 0) record.ttft_us = ttft_us;
  const std::uint64_t tpot_ns = in.Integer();
  if ((flags & kTpotFlag) != 0) record.tpot_ns = tpot_ns;
  record.cost_milli = in.Integer();
  record.reserved_milli = in.Integer();
  const bool older = in.AtEnd();
  record.input_characters = older ? record.input_bytes : in.Integer();
  record.output_characters = older ? record.output_bytes : in.Integer();
  if (bad || in.bad()) return Fail(Corrupt("usage"));
  return record;
}

void Encode(const GaugeRecord& record, std::string& text) {
  ByteWriter out(text);
  out.Integer(static_cast<std::uint64_t>(RecordKind::kGauge));
  out.Signed(Milliseconds(record.at));
  WriteText(out, record.endpoint);
  WriteText(out, record.model);
  out.Signed(record.model_version);
  for (const GaugeStat* const stat :
       {&record.replicas_ready, &record.replicas_total, &record.queued, &record.running,
        &record.utilisation_milli, &record.provisioned_milli}) {
    Write(out, *stat);
  }
}

Result<GaugeRecord> DecodeGauge(std::string_view payload) {
  ByteReader in(payload);
  const bool bad = in.Integer() != static_cast<std::uint64_t>(RecordKind::kGauge);
  GaugeRecord record;
  record.at = ReadTime(in);
  record.endpoint = in.Text();
  record.model = in.Text();
  record.model_version = in.Signed();
  for (GaugeStat* const stat :
       {&record.replicas_ready, &record.replicas_total, &record.queued, &record.running,
        &record.utilisation_milli, &record.provisioned_milli}) {
    *stat = ReadStat(in);
  }
  if (bad || in.bad()) return Fail(Corrupt("gauge"));
  return record;
}

std::optional<RecordKind> KindOf(std::string_view payload) {
  const std::uint64_t kind = ByteReader(payload).Integer();
  if (kind != 1 && kind != 2) return {};
  return static_cast<RecordKind>(kind);
}

}  // namespace penstock::meter
