// StreamFilter: an event stream on its way to the client: metered, and, where the client did not
// ask for usage, without the usage event that we asked for in its place.
//
// Pure: bytes in, bytes out. Without stripping it only looks; with it, it passes whole events on,
// and holds the beginning of an unfinished one back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/sse.h"
#include "api/stream_meter.h"
#include "api/usage.h"
#include "base/clock.h"
#include "base/result.h"

namespace penstock::gateway {

// What has passed.
struct StreamCount {
  std::uint64_t events = 0;       // All but [DONE].
  std::uint64_t text_events = 0;  // Those with text: tokens, where no usage tells better.
  std::uint64_t text_bytes = 0;   // UTF-8.
  std::uint64_t text_characters = 0;
  TimePoint first_text_at{};  // Meaningful when text_events > 0.
  TimePoint last_text_at{};
  std::optional<Usage> usage;
  bool done = false;    // [DONE] came.
  bool failed = false;  // An error event came.
};

class StreamFilter {
 public:
  explicit StreamFilter(bool strip_usage) : strip_usage_(strip_usage) {}

  // Takes the decoded pieces that one read at `now` brought. With stripping, appends what to send
  // in their place to `assembled`. Errors: kUpstream (an event over the limit).
  Status Pass(std::span<const std::string_view> pieces, TimePoint now, std::string& assembled);

  // False where each piece holds whole events, none of them the last: such pieces may be sent
  // before they are counted.
  bool MayEnd(std::span<const std::string_view> pieces) const;

  // An event has begun, and not ended.
  bool inside_event() const { return parser_.InsideEvent(); }
  // What was held back at the stream's end: the beginning of an event that never ended.
  std::string_view held() const { return held_ ? std::string_view(*held_) : std::string_view(); }

  const StreamCount& count() const { return count_; }
  // What the next events are compared with, for whoever fetches it early.
  std::string_view memory() const { return meter_.memory(); }

 private:
  bool Count(std::string_view data, TimePoint now);
  Status PassPiece(std::string_view piece, TimePoint now, std::string& assembled);

  SseParser parser_;
  StreamMeter meter_;
  StreamCount count_;
  std::uint64_t position_ = 0;  // Of the stream: bytes before the present piece.
  // Null where nothing is held back, as for most of a stream's time.
  std::unique_ptr<std::string> held_;
  bool strip_usage_;
};

}  // namespace penstock::gateway
