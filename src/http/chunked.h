// ChunkedDecoder: the chunked coding, without copying: it tells where payload lies and where the
// message ends, so that a relay passes the bytes on as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/limits.h"

namespace penstock::http {

class ChunkedDecoder {
 public:
  // Decodes what `bytes` continues. Appends the payload's pieces (views into `bytes`) to `payload`
  // and returns how many bytes belong to the message: all of them unless ended(), when what lies
  // behind is the next message's. Errors: kInvalidArgument (malformed; bare CR or LF; a limit of
  // ChunkLimits; extensions whose values are not tokens), after which the decoder is useless. How
  // the bytes are cut never changes the payload, the end or the verdict.
  Result<std::size_t> Decode(std::string_view bytes, const ChunkLimits& limits,
                             std::vector<std::string_view>& payload);

  bool ended() const { return state_ == State::kEnded; }
  // What was decoded so far were whole chunks.
  bool between_chunks() const { return state_ == State::kSize && counted_ == 0; }

  void Reset() { *this = {}; }

 private:
  enum class State : std::uint8_t {
    kSize,            // Digits of a chunk's size.
    kExtension,       // Behind ';' or '=': a token must begin.
    kExtensionName,   // Within an extension's name.
    kExtensionValue,  // Within its value.
    kSizeLf,          // The LF of the size's line.
    kData,            // Payload.
    kDataCr,          // The CR behind a chunk's payload.
    kDataLf,          // Its LF.
    kTrailerStart,    // The first byte of a trailer line, or the CR of the empty line.
    kTrailerName,     // Up to the colon.
    kTrailerValue,    // Up to CR.
    kTrailerLf,       // The LF of a trailer line.
    kEndLf,           // The last LF.
    kEnded,
  };

  static std::size_t TakeWholeChunks(std::string_view bytes,
                                     std::vector<std::string_view>& payload);
  Status Step(char byte, const ChunkLimits& limits);
  Status StepSize(char byte, const ChunkLimits& limits);
  Status StepExtension(char byte, const ChunkLimits& limits);
  Status StepTrailer(char byte, const ChunkLimits& limits);

  std::uint64_t left_ = 0;     // Of the chunk's size, or of its payload.
  std::uint32_t counted_ = 0;  // Digits, extension bytes or trailer bytes so far.
  State state_ = State::kSize;
  bool in_value_ = false;  // Of an extension: the token that begins is its value.
};

// Appends the framing line of a chunk of `size` > 0 bytes; the payload and CRLF follow it.
void AppendChunkSize(std::size_t size, std::string& to);

}  // namespace penstock::http
