// Property: any bytes are read without harm; what a record's bytes gave is written and read again
// as the same record; and how a segment is cut never changes the frames before the cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "meter/ledger_format.h"
#include "meter/ledger_reader.h"
#include "meter/usage_record.h"

namespace penstock::meter {
namespace {

void CheckRecord(std::string_view bytes) {
  if (const auto record = DecodeUsage(bytes)) {
    std::string again;
    Encode(*record, again);
    const auto second = DecodeUsage(again);
    if (!second) std::abort();
    std::string third;
    Encode(*second, third);
    if (third != again) std::abort();
  }
  if (const auto record = DecodeGauge(bytes)) {
    std::string again;
    Encode(*record, again);
    if (const auto second = DecodeGauge(again); !second || *second != *record) std::abort();
  }
}

std::size_t CountFrames(std::string_view bytes) {
  FrameReader reader(bytes);
  std::size_t frames = 0;
  while (reader.Next()) ++frames;
  if (reader.position() > bytes.size()) std::abort();
  return frames;
}

void CheckBytes(std::string_view bytes) {
  CheckRecord(bytes);
  std::string framed(kFrameHeadBytes, '\0');
  framed += bytes.substr(0, kPayloadBytesMax);
  if (framed.size() > kFrameHeadBytes) FinishFrame(framed, 0);
  framed += bytes;
  const std::size_t cut = bytes.empty() ? 0 : static_cast<std::uint8_t>(bytes[0]) % framed.size();
  if (CountFrames(framed) < CountFrames(std::string_view(framed).substr(0, cut))) std::abort();
  LedgerReadStats stats;
  (void)VisitFrames(bytes, {.usage = [](const UsageRecord&) {}, .gauge = {}}, nullptr, stats);
}

}  // namespace

// For the one below, which is outside.
void CheckLedgerBytes(std::string_view bytes) { CheckBytes(bytes); }

}  // namespace penstock::meter

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  penstock::meter::CheckLedgerBytes({reinterpret_cast<const char*>(data), size});
  return 0;
}
