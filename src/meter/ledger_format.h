// The ledger's segments as bytes: a head, then frames. Pure.
//
//   head    "PNSTLDG1"                                    8 bytes
//   frame   payload size    32 bits, lowest byte first
//           CRC-32          32 bits, over the size's four bytes and the payload
//           payload         what usage_record.h writes
//
// Behind the last frame of a segment that is being written stand zeros, in which the next ones will
// be. A writer that was killed leaves at most one unfinished frame, in front of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::meter {

inline constexpr std::string_view kSegmentHead = "PNSTLDG1";
inline constexpr std::size_t kFrameHeadBytes = 8;
// A usage record holds eight texts of at most 512 bytes and one of 4096.
inline constexpr std::size_t kPayloadBytesMax = std::size_t{16} * 1024;

// Fills in the head of the frame at `frame_offset`, whose payload reaches to the end of `out`; the
// caller has left kFrameHeadBytes for it. REQUIRES: 0 < payload size <= kPayloadBytesMax.
void FinishFrame(std::string& out, std::size_t frame_offset);

// Walks over frames. Give it bytes from a frame's beginning.
class FrameReader {
 public:
  explicit FrameReader(std::string_view bytes) : bytes_(bytes) {}

  // The next payload, a view into the bytes. None: the end, or what follows is no whole frame.
  std::optional<std::string_view> Next();

  // Bytes of the whole frames so far.
  std::size_t position() const { return position_; }
  // After Next() gave none: what follows can never become a frame by more bytes. Else it is the
  // end, zeros that reach to it, or a frame that may still be being written.
  bool damaged() const { return damaged_; }

 private:
  std::string_view bytes_;
  std::size_t position_ = 0;
  bool damaged_ = false;
};

}  // namespace penstock::meter
