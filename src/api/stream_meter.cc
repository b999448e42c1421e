// Recognising a chunk by the bytes around its text.
#include "api/stream_meter.h"

#include <simdjson.h>

#include <algorithm>

#include "api/characters.h"
#include "api/chunk_reader.h"

namespace penstock {
namespace {

// Longer surroundings of a text are not worth remembering.
constexpr std::size_t kAroundBytesMax = 1024;

// The end of a JSON string's inside: its closing quote; size() where there is none.
std::size_t FindQuote(std::string_view text) {
  std::size_t at = 0;
  for (; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return std::min(at, text.size());
}

}  // namespace

// The unescaped size of the inside of a JSON string; nullopt where it is not plainly one, or empty.
std::optional<StreamMeter::TextSize> StreamMeter::SizeOf(std::string_view text) {
  bool ascii = true;
  std::size_t escapes = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == '"') return std::nullopt;
    ascii &= byte < 0x80;
    if (byte != '\\') continue;
    ++escapes;
    ++i;
    if (i == text.size() || std::string_view(R"("\/bfnrt)").find(text[i]) == std::string_view::npos)
      return std::nullopt;
  }
  if (text.empty()) return std::nullopt;
  const auto bytes = static_cast<std::uint32_t>(text.size() - escapes);
  if (ascii) return TextSize{bytes, bytes};
  if (!simdjson::validate_utf8(text)) return std::nullopt;
  return TextSize{bytes, bytes - static_cast<std::uint32_t>(internal::ContinuationBytes(text))};
}

std::size_t StreamMeter::ReadLikeLast(std::string_view stream, StreamChunk& chunk) {
  constexpr std::string_view kField = "data: ";
  constexpr std::string_view kEnd = "\n\n";
  const std::size_t text_begin = kField.size() + before_bytes_;
  if (!plain_ || stream.size() <= kField.size() + around_text_.size() + kEnd.size()) return 0;
  const std::string_view around = around_text_;
  if (!stream.starts_with(kField)) return 0;
  if (!stream.substr(kField.size()).starts_with(around.substr(0, before_bytes_))) return 0;
  const std::string_view rest = stream.substr(text_begin);
  const std::size_t length = FindQuote(rest);
  const std::string_view after = around.substr(before_bytes_);
  if (rest.size() - length < after.size() + kEnd.size()) return 0;
  if (!rest.substr(length).starts_with(after)) return 0;
  if (!rest.substr(length + after.size()).starts_with(kEnd)) return 0;
  const auto text = SizeOf(rest.substr(0, length));
  if (!text) return 0;
  chunk = LikeLearned(*text);
  return text_begin + length + after.size() + kEnd.size();
}

StreamChunk StreamMeter::Read(std::string_view data) {
  if (before_bytes_ != 0 && data.size() > around_text_.size()) {
    const std::string_view around = around_text_;
    const std::string_view after = around.substr(before_bytes_);
    if (data.ends_with(after) && data.starts_with(around.substr(0, before_bytes_))) {
      const std::size_t length = data.size() - around.size();
      if (const auto text = SizeOf(data.substr(before_bytes_, length))) return LikeLearned(*text);
    }
  }
  if (data == "[DONE]") return {.kind = ChunkKind::kDone};
  internal::ChunkFindings found = internal::ReadChunk(data);
  if (found.text_bytes != 0 && !found.chunk.usage &&
      data.size() - found.text_length <= kAroundBytesMax) {
    before_bytes_ = static_cast<std::uint32_t>(found.text_offset);
    // Of exactly that size: it stays as long as the stream.
    const std::size_t bytes = data.size() - found.text_length;
    if (around_text_.capacity() < bytes) std::string().swap(around_text_);
    around_text_.reserve(bytes);
    around_text_.assign(data.substr(0, before_bytes_));
    around_text_.append(data.substr(before_bytes_ + found.text_length));
    plain_ = HasText(found.chunk.kind) && data.find_first_of("\r\n") == std::string_view::npos;
    learned_kind_ = found.chunk.kind;
    learned_finish_ = found.chunk.finish;
    learned_others_ = {
        .bytes = found.chunk.text_bytes - static_cast<std::uint32_t>(found.text_bytes),
        .characters =
            found.chunk.text_characters - static_cast<std::uint32_t>(found.text_characters)};
  }
  return found.chunk;
}

StreamChunk ParseStreamChunk(std::string_view data) {
  if (data == "[DONE]") return {.kind = ChunkKind::kDone};
  return internal::ReadChunk(data).chunk;
}

}  // namespace penstock
