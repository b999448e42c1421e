#include "gateway/stream_filter.h"

namespace penstock::gateway {

// False for the event that carries usage alone.
bool StreamFilter::Count(std::string_view data, TimePoint now) {
  const StreamChunk chunk = meter_.Read(data);
  if (chunk.kind == ChunkKind::kDone) {
    count_.done = true;
    return true;
  }
  ++count_.events;
  if (HasText(chunk.kind)) {
    if (count_.text_events++ == 0) count_.first_text_at = now;
    count_.text_bytes += chunk.text_bytes;
    count_.text_characters += chunk.text_characters;
    count_.last_text_at = now;
  }
  if (chunk.kind == ChunkKind::kError) count_.failed = true;
  if (chunk.usage) count_.usage = chunk.usage;
  return chunk.kind != ChunkKind::kUsage;
}

bool StreamFilter::MayEnd(std::span<const std::string_view> pieces) const {
  if (parser_.InsideEvent()) return true;
  for (const std::string_view piece : pieces) {
    if (!piece.ends_with("\n\n") || piece.find("[DONE]") != std::string_view::npos) return true;
  }
  return false;
}

Status StreamFilter::PassPiece(std::string_view piece, TimePoint now, std::string& assembled) {
  parser_.Feed(piece);
  std::uint64_t passed = position_;
  for (;;) {
    const auto event = parser_.Next();
    if (!event) return Fail(event.error());
    if (!*event) break;
    const bool keep = Count((*event)->data, now);
    if (!strip_usage_) continue;
    // An event's bytes are those since the last one's end, so comments travel with what follows.
    const std::string_view rest = piece.substr(passed - position_, (*event)->end - passed);
    if (keep) assembled.append(held()).append(rest);
    held_.reset();
    passed = (*event)->end;
  }
  if (strip_usage_ && passed - position_ < piece.size()) {
    if (!held_) held_ = std::make_unique<std::string>();
    held_->append(piece.substr(passed - position_));
  }
  position_ += piece.size();
  return {};
}

Status StreamFilter::Pass(std::span<const std::string_view> pieces, TimePoint now,
                          std::string& assembled) {
  for (const std::string_view piece : pieces) {
    if (const Status passed = PassPiece(piece, now, assembled); !passed) return passed;
  }
  return {};
}

}  // namespace penstock::gateway
