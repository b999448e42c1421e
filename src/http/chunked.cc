#include "http/chunked.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "http/characters.h"
#include "http/quote.h"

namespace penstock::http {

namespace {

std::unexpected<Error> Malformed(std::string message) {
  return Fail(Code::kInvalidArgument, "chunked body: " + std::move(message), "body");
}

std::unexpected<Error> Unexpected(const char* where, char byte) {
  return Malformed(std::string(where) + ": unexpected byte " + Quote({&byte, 1}));
}

}  // namespace

// The usual read brings whole chunks: they are taken without the state machine. Stops in front of
// anything else (the last chunk, a cut chunk, an extension, a mistake). Returns the bytes taken.
std::size_t ChunkedDecoder::TakeWholeChunks(std::string_view bytes,
                                            std::vector<std::string_view>& payload) {
  std::size_t taken = 0;
  for (;;) {
    std::size_t at = taken;
    std::size_t size = 0;
    // Seven digits cannot overflow, and longer chunks do not come whole anyway.
    const std::size_t digits_end = std::min(bytes.size(), taken + 7);
    for (; at < digits_end; ++at) {
      const int digit = HexValue(bytes[at]);
      if (digit < 0) break;
      size = size * 16 + static_cast<std::size_t>(digit);
    }
    if (size == 0 || bytes.size() - at < size + 4) return taken;
    const char* data = bytes.data() + at;
    if (data[0] != '\r' || data[1] != '\n' || data[size + 2] != '\r' || data[size + 3] != '\n') {
      return taken;
    }
    payload.push_back(bytes.substr(at + 2, size));
    taken = at + size + 4;
  }
}

Result<std::size_t> ChunkedDecoder::Decode(std::string_view bytes, const ChunkLimits& limits,
                                           std::vector<std::string_view>& payload) {
  std::size_t at = 0;
  while (at < bytes.size() && state_ != State::kEnded) {
    if (state_ == State::kSize && counted_ == 0 && limits.size_digits_max >= 7) {
      at += TakeWholeChunks(bytes.substr(at), payload);
      if (at == bytes.size()) break;
    }
    if (state_ == State::kData) {
      const auto piece = bytes.substr(at, static_cast<std::size_t>(std::min<std::uint64_t>(
                                              left_, std::numeric_limits<std::size_t>::max())));
      payload.push_back(piece);
      at += piece.size();
      left_ -= piece.size();
      if (left_ == 0) state_ = State::kDataCr;
      continue;
    }
    if (auto step = Step(bytes[at], limits); !step) return Fail(std::move(step).error());
    ++at;
  }
  return at;
}

// One byte of framing.
Status ChunkedDecoder::Step(char byte, const ChunkLimits& limits) {
  switch (state_) {
    case State::kSize:
      return StepSize(byte, limits);
    case State::kExtension:
    case State::kExtensionName:
    case State::kExtensionValue:
      return StepExtension(byte, limits);
    case State::kSizeLf:
      if (byte != '\n') return Unexpected("behind the CR of a size", byte);
      state_ = left_ == 0 ? State::kTrailerStart : State::kData;
      counted_ = 0;
      return {};
    case State::kDataCr:
      if (byte != '\r') return Unexpected("behind a chunk", byte);
      state_ = State::kDataLf;
      return {};
    case State::kDataLf:
      if (byte != '\n') return Unexpected("behind the CR of a chunk", byte);
      state_ = State::kSize;
      return {};
    case State::kTrailerStart:
    case State::kTrailerName:
    case State::kTrailerValue:
    case State::kTrailerLf:
      return StepTrailer(byte, limits);
    case State::kEndLf:
      if (byte != '\n') return Unexpected("behind the last CR", byte);
      state_ = State::kEnded;
      return {};
    case State::kData:
    case State::kEnded:
      break;
  }
  return Fail(Code::kInternal, "chunked body: step outside the framing");
}

Status ChunkedDecoder::StepSize(char byte, const ChunkLimits& limits) {
  if (byte == '\r' && counted_ > 0) {
    state_ = State::kSizeLf;
    return {};
  }
  if (byte == ';' && counted_ > 0) {
    state_ = State::kExtension;
    in_value_ = false;
    counted_ = 0;
    return {};
  }
  const int digit = HexValue(byte);
  if (digit < 0) return Unexpected("within a size", byte);
  if (++counted_ > std::min<std::size_t>(limits.size_digits_max, 16)) {
    return Malformed("a size has more than " + std::to_string(limits.size_digits_max) + " digits");
  }
  left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
  return {};
}

// ;name=value;name and so on. Quoted values are refused: where they end is a matter of opinion.
Status ChunkedDecoder::StepExtension(char byte, const ChunkLimits& limits) {
  if (byte == '\r' && state_ != State::kExtension) {
    state_ = State::kSizeLf;
    return {};
  }
  if (++counted_ > limits.extension_bytes_max) {
    return Malformed("extensions are longer than " + std::to_string(limits.extension_bytes_max) +
                     " bytes");
  }
  if (IsToken(byte)) {
    if (state_ == State::kExtension) {
      state_ = in_value_ ? State::kExtensionValue : State::kExtensionName;
    }
    return {};
  }
  const bool begins_value = byte == '=' && state_ == State::kExtensionName;
  if (state_ == State::kExtension || (byte != ';' && !begins_value)) {
    return Unexpected("within a chunk extension", byte);
  }
  in_value_ = begins_value;
  state_ = State::kExtension;
  return {};
}

Status ChunkedDecoder::StepTrailer(char byte, const ChunkLimits& limits) {
  if (state_ == State::kTrailerLf) {
    if (byte != '\n') return Unexpected("behind the CR of a trailer", byte);
    state_ = State::kTrailerStart;
    return {};
  }
  if (state_ == State::kTrailerStart && byte == '\r') {
    state_ = State::kEndLf;
    return {};
  }
  if (++counted_ > limits.trailer_bytes_max) {
    return Malformed("trailers are longer than " + std::to_string(limits.trailer_bytes_max) +
                     " bytes");
  }
  if (state_ == State::kTrailerValue) {
    if (byte == '\r') {
      state_ = State::kTrailerLf;
    } else if (IsControl(byte)) {
      return Unexpected("within a trailer", byte);
    }
    return {};
  }
  if (state_ == State::kTrailerName && byte == ':') {
    state_ = State::kTrailerValue;
  } else if (IsToken(byte)) {
    state_ = State::kTrailerName;
  } else {
    return Unexpected("within a trailer's name", byte);
  }
  return {};
}

void AppendChunkSize(std::size_t size, std::string& to) {
  char digits[2 * sizeof size];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), size, 16).ptr;
  to.append(digits, static_cast<std::size_t>(end - digits)).append("\r\n");
}

}  // namespace penstock::http
