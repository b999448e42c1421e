#include "meter/ledger_format.h"

#include "base/check.h"
#include "meter/checksum.h"

namespace penstock::meter {
namespace {

void Put32(std::string& out, std::size_t offset, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) out[offset + i] = static_cast<char>(value >> (8 * i));
}

std::uint32_t Get32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[i])) << (8 * i);
  }
  return value;
}

std::uint32_t ChecksumOf(std::string_view size, std::string_view payload) {
  return Checksum(Checksum(0, size), payload);
}

}  // namespace

void FinishFrame(std::string& out, std::size_t frame_offset) {
  const std::size_t size = out.size() - frame_offset - kFrameHeadBytes;
  CHECK(size > 0 && size <= kPayloadBytesMax, "a record fits its frame");
  Put32(out, frame_offset, static_cast<std::uint32_t>(size));
  const std::string_view frame = std::string_view(out).substr(frame_offset);
  Put32(out, frame_offset + 4, ChecksumOf(frame.substr(0, 4), frame.substr(kFrameHeadBytes)));
}

std::optional<std::string_view> FrameReader::Next() {
  const std::string_view left = bytes_.substr(position_);
  if (left.size() < kFrameHeadBytes) return {};
  const std::size_t size = Get32(left);
  if (size == 0 || size > kPayloadBytesMax) {
    damaged_ = left.find_first_not_of('\0') != std::string_view::npos;
    return {};
  }
  if (left.size() < kFrameHeadBytes + size) return {};
  const std::string_view payload = left.substr(kFrameHeadBytes, size);
  if (ChecksumOf(left.substr(0, 4), payload) != Get32(left.substr(4))) {
    damaged_ = true;
    return {};
  }
  position_ += kFrameHeadBytes + size;
  return payload;
}

}  // namespace penstock::meter
