// SseParser: server-sent events out of a byte stream, however it is cut, by the rules of WHATWG.
//
// LF, CR and CRLF end lines; a space after the colon is optional; data lines join with LF;
// comments, unknown fields and `retry` are dropped; a byte order mark at the start is skipped. An
// event of one data line that lies whole in the input is not copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock {

// Views point into the input or the parser, and hold until the next call of Feed() or Next().
struct SseEvent {
  std::string_view data;
  std::string_view type;  // The `event` field, "" if none.
  std::string_view id;    // The last `id` field of the stream so far.
  // Where the event lies, in bytes since the start of the stream: [begin, end), from its first line
  // to its blank line. (Where CRLF was cut in two between reads, the LF lies behind `end`.)
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class SseParser {
 public:
  static constexpr std::size_t kEventBytesMax = std::size_t{1} << 20;

  // No line, and no event's data, may be longer than `event_bytes_max`.
  explicit SseParser(std::size_t event_bytes_max = kEventBytesMax)
      : event_bytes_max_(event_bytes_max) {}

  // Gives the next bytes of the stream. They must stay until Next() has returned nullopt, which has
  // to happen before the next Feed().
  void Feed(std::string_view bytes);

  // The next whole event, or nullopt when the input is used up. Code::kUpstream: a line or an event
  // over the limit; the parser stays failed.
  Result<std::optional<SseEvent>> Next();

  // The next byte begins an event's first line: whole events from here on may be read past the
  // parser, if none of begin, end and id is asked for.
  bool AtEventStart() const { return !failed_ && !skip_line_feed_ && !InsideEvent(); }

  // True after part of an event: a stream that ends here was cut.
  bool InsideEvent() const {
    return carried_ != nullptr &&
           (!carried_->line.empty() || carried_->has_data || !carried_->type.empty());
  }

 private:
  static constexpr std::size_t kNotLookedFor = ~std::size_t{0};

  // What is carried from line to line: most streams consist of events that lie whole in the input,
  // and need none of it.
  struct Carried {
    std::string line;  // The beginning of a line whose end has not come yet.
    std::string data;
    std::string type;
    std::string id;
    bool has_data = false;
    bool event_taken = false;  // data and type belong to an event already given out.
  };

  Carried& carried();
  std::optional<SseEvent> TakeWholeEvent();
  std::optional<SseEvent> EndEvent();
  Status TakeField(std::string_view line);
  std::size_t FindLineFeed();
  std::size_t FindLineEnd();
  void PassLineEnd();
  std::unexpected<Error> FailTooLong();
  SseEvent MakeEvent(std::string_view data);

  std::size_t event_bytes_max_;
  std::string_view input_;
  std::size_t position_ = 0;        // In input_.
  std::size_t next_line_feed_ = 0;  // At or behind position_ once looked for; size if none.
  std::uint64_t bytes_before_ = 0;  // Of the stream, before input_.
  std::uint64_t event_begin_ = 0;
  std::unique_ptr<Carried> carried_;  // Null until something had to be carried.
  bool first_line_ = true;            // A byte order mark may come.
  bool skip_line_feed_ = false;       // The input ended behind a CR, which may be half of a CRLF.
  bool failed_ = false;
};

}  // namespace penstock
